import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { chmod, chown, lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import { innerPath, readPacked } from '../util/tree.ts';
import type { Order } from './inspect-database.ts';
import type { DataInspector, DataQuestion, Inspection } from './inspector.ts';

/** Of what the database's program would play back: without them the newest trades are missing. */
export const JOURNALS = ['', '-wal', '-shm', '-journal'];

const PREFIX = 'bunkhouse-inspect-';
const TIME_MS = 120_000;
const STALE_MS = 24 * 3_600_000;
const MOST_ANSWER = 8 << 20;
/** As what nobody in particular may do. */
const NOBODY = 65_534;

/** Runs the look itself: given the order, answers what the program prints. */
export type Look = (order: Order, folder: string) => Promise<string>;

/** Copies the database into a folder of its own below `parent` and has the program look at it there. */
export function createInspector(look: Look, parent = tmpdir()): DataInspector {
  return {
    async inspect(archive, question) {
      const folder = await mkdtemp(join(parent, PREFIX));
      try {
        if (!(await extract(archive, question.path, folder))) return { kind: 'absent' };
        const order = { file: join(folder, 'db'), answers: question.answers, upTo: question.upTo };
        return understood(await look(order, folder), question);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** Removes the copies that a process left which was killed while it looked. `now`: milliseconds since the epoch. */
export async function clearInspections(now: number, parent = tmpdir()): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(parent, name);
    const found = await lstat(folder).catch(() => null);
    if (found?.isDirectory() && now - found.mtimeMs > STALE_MS) await rm(folder, { recursive: true, force: true });
  }
}

/**
 * In a process of its own: as nobody where this one is root, without its environment, and with no files in reach but those of
 * the folder. Only the source is handed over, so nothing else need be readable for it. `program`: another one with a function `main`.
 */
export function lookApart(clock: Clock, program?: string): Look {
  return async (order, folder) => {
    const isRoot = process.getuid?.() === 0;
    if (isRoot) await handOver(folder);
    const ending = import.meta.filename.slice(-3);
    const source = program ?? (await readFile(join(import.meta.dirname, `inspect-database${ending}`), 'utf8'));
    const kind = ending === '.ts' ? 'module-typescript' : 'module';
    const child = spawn(
      '/proc/self/exe',
      [
        '--permission',
        `--allow-fs-read=${folder}`,
        `--allow-fs-write=${folder}`,
        '--disable-warning=ExperimentalWarning',
        '--max-old-space-size=256',
        `--input-type=${kind}`,
        '--eval',
        `${source}\nmain(process.argv.at(-1));\n`,
        JSON.stringify(order),
      ],
      { cwd: folder, env: {}, stdio: ['ignore', 'pipe', 'pipe'], ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}) },
    );
    const cancel = clock.after(TIME_MS, () => child.kill('SIGKILL'));
    try {
      return await answerOf(child);
    } finally {
      cancel();
      child.kill('SIGKILL');
    }
  };
}

// Private

async function extract(archive: AsyncIterable<Uint8Array>, path: string, folder: string): Promise<boolean> {
  let found = false;
  try {
    for await (const { header, content } of readPacked(archive)) {
      const name = innerPath(header.name);
      const journal = JOURNALS.find((ending) => name === path + ending);
      if (journal === undefined || header.type !== 'file') continue;
      found ||= journal === '';
      await pipeline(content, createWriteStream(join(folder, `db${journal}`), { mode: 0o600 }));
    }
  } catch (error) {
    if (error instanceof BunkhouseError) throw error;
    throw new BunkhouseError('INVALID', `it is no archive that can be read: ${messageOf(error)}`);
  }
  return found;
}

async function handOver(folder: string): Promise<void> {
  for (const journal of JOURNALS) await chown(join(folder, `db${journal}`), NOBODY, NOBODY).catch(() => {});
  await chown(folder, NOBODY, NOBODY);
  await chmod(folder, 0o700);
}

async function answerOf(child: ReturnType<typeof spawn>): Promise<string> {
  const out: Buffer[] = [];
  let length = 0;
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > MOST_ANSWER) child.kill('SIGKILL');
    else out.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(0, 1000);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...how) => resolve(how));
  });
  if (code === 0) return Buffer.concat(out).toString('utf8');
  const why = signal === null ? `code ${code}: ${said.trim()}` : `signal ${signal}`;
  throw new BunkhouseError('DEADLINE', `the look into the database ended with ${why}`);
}

const count = z.int().min(0);
/** What comes from a program that may have been taken over is checked. */
const saidSchema = z.union([
  z.strictObject({ damage: z.string() }),
  z.strictObject({
    found: z.strictObject({
      bytes: count,
      tables: z.record(
        z.string().max(1000),
        z.strictObject({ rows: count, last: z.int().nullable(), sha256: z.string().max(64) }),
      ),
      answers: z.record(z.string(), z.string().max(1000).nullable()),
      upTo: z.record(z.string(), count),
    }),
  }),
]);

function understood(text: string, { path }: DataQuestion): Inspection {
  const said = saidSchema.safeParse(JSON.parse(text));
  if (!said.success) return { kind: 'damaged', why: 'what is in it cannot be told' };
  if ('damage' in said.data) return { kind: 'damaged', why: said.data.damage.slice(0, 200) };
  const { bytes, tables, answers, upTo } = said.data.found;
  return { kind: 'whole', facts: { path, bytes, tables, answers }, upTo };
}
