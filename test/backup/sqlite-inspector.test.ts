import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Inspection } from '../../lib/backup/inspector.ts';
import { clearInspections, createInspector, type Look, lookApart } from '../../lib/backup/sqlite-inspector.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { fileChunks, packInto } from '../../lib/util/tree.ts';
import { databaseFiles } from '../services/legacy.ts';
import { lookHere } from '../support/look-here.ts';

const QUESTION = {
  path: 'data/trades.sqlite',
  answers: { open: 'SELECT count(*) FROM trades WHERE is_open', none: 'SELECT max(id) FROM no_such_table' },
  upTo: { trades: 2 },
};
const WAYS: readonly (readonly [string, Look])[] = [
  ['in a process of its own', lookApart(clock)],
  ['in this process', lookHere],
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bunkhouse-test-inspect-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function* bytes(data: Buffer): AsyncGenerator<Uint8Array> {
  if (data.length > 0) yield data;
}

/** A packed directory of these files. */
async function packed(files: ReadonlyMap<string, Buffer>): Promise<AsyncIterable<Uint8Array>> {
  const file = join(folder, `${files.size}-${Math.random()}.tar.gz`);
  await packInto(file, async (writer) => {
    for (const [name, data] of files) await writer.add({ name, size: data.length }, bytes(data));
  });
  return fileChunks(file);
}

async function look(how: Look, database: ReadonlyMap<string, Buffer>): Promise<Inspection> {
  const files = new Map([...database].map(([ending, data]) => [`./${QUESTION.path}${ending}`, data]));
  return createInspector(how).inspect(await packed(new Map([['config.json', Buffer.from('{}')], ...files])), QUESTION);
}

describe.each(WAYS)('a look into a database, %s', (_, how) => {
  const TRADES = [
    [1, true],
    [2, false],
    [3, true],
  ] as const;

  it('counts what is in the log too, answers questions, and counts rows up to one', async () => {
    expect(await look(how, databaseFiles(TRADES))).toMatchObject({
      kind: 'whole',
      facts: {
        path: QUESTION.path,
        tables: { trades: { rows: 3, last: 3 } },
        answers: { open: '2', none: null },
      },
      upTo: { trades: 2 },
    });
  });

  it('sees the same rows in a log and in the file, and every difference', async () => {
    const facts = async (files: ReadonlyMap<string, Buffer>) => {
      const found = await look(how, files);
      return found.kind === 'whole' ? found.facts.tables.trades?.sha256 : found.kind;
    };
    const inLog = await facts(databaseFiles(TRADES));
    expect(await facts(databaseFiles([], TRADES))).toBe(inLog);
    expect(await facts(databaseFiles([...TRADES.slice(0, 2), [3, false]]))).not.toBe(inLog);
  });

  it('without its log lacks what is in there', async () => {
    const files = databaseFiles(TRADES.slice(2), TRADES.slice(0, 2));
    expect(await look(how, new Map([['', files.get('') ?? Buffer.alloc(0)]]))).toMatchObject({
      facts: { tables: { trades: { rows: 2 } } },
    });
  });

  it.each([
    ['no database', Buffer.alloc(5000, 'x')],
    ['a damaged page', null],
  ])('tells %s', async (_what, content) => {
    const whole = databaseFiles([], TRADES).get('') ?? Buffer.alloc(0);
    const data = content ?? Buffer.concat([whole.subarray(0, 4096), Buffer.alloc(whole.length - 4096, 1)]);
    expect(await look(how, new Map([['', data]]))).toMatchObject({ kind: 'damaged', why: expect.any(String) });
  });

  it('tells that there is none, and that an archive is none', async () => {
    expect(await look(how, new Map())).toEqual({ kind: 'absent' });
    await expect(createInspector(how).inspect(bytes(Buffer.from('no archive')), QUESTION)).rejects.toMatchObject({
      code: 'INVALID',
    });
  });
});

describe('copies of a process that was killed', () => {
  it('are removed when they are old, and nothing else', async () => {
    const [old, young, other] = ['bunkhouse-inspect-old', 'bunkhouse-inspect-young', 'other'].map((name) =>
      join(folder, 'left', name),
    ) as [string, string, string];
    for (const path of [old, young, other]) await mkdir(path, { recursive: true });
    const dayAgo = Date.now() / 1000 - 90_000;
    for (const path of [old, other]) await utimes(path, dayAgo, dayAgo);
    await clearInspections(Date.now(), join(folder, 'left'));
    expect(await readdir(join(folder, 'left'))).toEqual(['bunkhouse-inspect-young', 'other']);
  });
});

describe('the process that looks', () => {
  const run = (source: string): Promise<string> =>
    lookApart(clock, source)({ file: '', answers: {}, upTo: {} }, folder);

  it('has no environment, and no file in reach but those of its folder', async () => {
    const said = await run(
      `import { readFileSync } from 'node:fs';
       const tried = ['/etc/hostname', '/proc/self/environ'].map((path) => {
         try { return readFileSync(path, 'utf8'); } catch (error) { return error.code; }
       });
       function main() { process.stdout.write(JSON.stringify({ tried, env: Object.keys(process.env), uid: process.getuid() })); }`,
    );
    const found = JSON.parse(said);
    expect(found).toMatchObject({ tried: ['ERR_ACCESS_DENIED', 'ERR_ACCESS_DENIED'], env: [] });
    expect(found.uid).toBe(process.getuid?.() === 0 ? 65_534 : process.getuid?.());
  });

  it('starts no program', async () => {
    const said = await run(
      `import { spawnSync } from 'node:child_process';
       function main() { try { spawnSync('true'); } catch (error) { process.stdout.write(error.code); } }`,
    );
    expect(said).toBe('ERR_ACCESS_DENIED');
  });

  it('that ends badly is told', async () => {
    await expect(run('function main() { process.exit(3); }')).rejects.toMatchObject({ code: 'DEADLINE' });
  });
});
