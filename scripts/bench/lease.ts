import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LeaseView, ReserveStatus } from '../../lib/services/lease-api.ts';
import { createSandbox, type Sandbox } from '../../test/e2e/support.ts';
import { startValkey, VALKEY } from '../../test/support/valkey-server.ts';
import type { BenchOptions, Row } from './bench.ts';
import { percentiles } from './figures.ts';
import type { Order, Told } from './lease-client.ts';

const CLIENT = join(import.meta.dirname, 'lease-client.ts');
const TEMPLATE = 'warm';

interface Course {
  readonly driver: 'memory' | 'process';
  readonly basePort: number;
  readonly reserve: number;
  readonly command: string;
  readonly alone: number;
  readonly paced: number;
  readonly atOnce: number;
}

/** The reserve is enough for all of it, so that every lease finds a warm bot. */
const COURSES: readonly Course[] = [
  { driver: 'memory', basePort: 20_000, reserve: 6500, command: '[bot]', alone: 500, paced: 5000, atOnce: 1000 },
  {
    driver: 'process',
    basePort: 28_100,
    reserve: 1700,
    command: '[sleep, infinity]',
    alone: 200,
    paced: 500,
    atOnce: 1000,
  },
];
const PER_SECOND = 500;

/** Where the state is kept. */
interface Place {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * How fast warm bots are handed out, over HTTP on loopback from a process of its own, every answer durable: it is looked for
 * after kill -9.
 */
export async function runLease({ progress, signal }: BenchOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const course of COURSES) {
    rows.push(...(await measure(course, { name: 'file', env: {} }, progress, signal)));
    if (VALKEY !== null) rows.push(...(await measureValkey(course, progress, signal)));
  }
  return rows;
}

// Private

/** A server of its own, which syncs every commit to the same disk. */
async function measureValkey(course: Course, progress: BenchOptions['progress'], signal: AbortSignal): Promise<Row[]> {
  const server = await startValkey();
  try {
    const env = { STATE_URL: `valkey://127.0.0.1:${server.port}` };
    return await measure(course, { name: 'valkey', env }, progress, signal);
  } finally {
    await server.dispose();
  }
}

async function measure(
  course: Course,
  { name: place, env }: Place,
  progress: BenchOptions['progress'],
  signal: AbortSignal,
): Promise<Row[]> {
  const { driver, basePort, reserve, alone, paced, atOnce } = course;
  const title = `${driver} driver, ${place} store`;
  const tell = (line: string): void => {
    signal.throwIfAborted();
    progress(`${title}: ${line}`);
  };
  const sandbox = await createSandbox({
    basePort,
    templates: { 'warm.yaml': templateOf(course) },
    env: { POOL_DRIVER: driver, POOL_MAX_SIZE: String(reserve), LOG_LEVEL: 'warn', ...env },
  });
  try {
    await sandbox.start();
    tell(`making ${reserve} warm bots …`);
    const filling = performance.now();
    await full(sandbox, reserve);
    const filledMs = performance.now() - filling;
    const rows: Row[] = [];
    const ids: string[] = [];
    const run = async (name: string, count: number, pace: Order['pace']): Promise<void> => {
      tell(`${count} leases, ${name} …`);
      const told = await order(sandbox, { count, pace });
      if (told.fromPool !== count) throw new Error(`only ${told.fromPool} of ${count} came from the reserve`);
      const persec = (count / told.tookMs) * 1000;
      const own = `the client took ${told.cpuMs.toFixed(0)} ms of processor time, ${told.longestMs.toFixed(0)} ms at once`;
      const note = `${count} leases from a reserve of ${reserve}, ${persec.toFixed(0)} a second; ${own}`;
      const found = percentiles(`${title}: acquire, ${name}`, told.times, note);
      tell(`${name}: ${found.map(({ value }) => `${value.toFixed(1)} ms`).join(' and ')} (p50 and p99)`);
      rows.push(...found);
      ids.push(...told.ids);
    };
    await run('one by one', alone, 'alone');
    await run(`${PER_SECOND} per second`, paced, { perSecond: PER_SECOND });
    await run(`${atOnce} at once`, atOnce, 'at once');
    await durable(sandbox, ids, tell);
    const note = 'from nothing until all of them can be handed out';
    return [...rows, { name: `${title}: ${reserve} warm bots made`, value: filledMs / 1000, unit: 's', note }];
  } finally {
    await sandbox.dispose();
  }
}

function templateOf({ reserve, command }: Course): string {
  const cleaning = '{ steps: [{ kind: clear }], verify: [{ kind: exec, command: ["true"] }] }';
  return `name: ${TEMPLATE}
description: Handed out by the benchmark
command: ${command}
readiness: { kind: process, startupSeconds: 60 }
stop: { signal: SIGKILL }
capacity: ${Math.min(100, reserve)}
lease:
  ttlSeconds: 3600
  reserve: { target: ${reserve}, min: 0, batchSize: 1000, batchSpacingSeconds: 0 }
  reset: ${cleaning}
`;
}

async function full(sandbox: Sandbox, reserve: number): Promise<void> {
  await sandbox.until(
    `${reserve} bots are ready`,
    async () => {
      const { reserves } = await sandbox.client.get<{ reserves: ReserveStatus[] }>('/api/pool/reserve');
      return reserves.some(({ ready, warming, resetting }) => ready >= reserve && warming + resetting === 0);
    },
    600,
  );
}

/** Has the client do it, and waits for what it tells. */
async function order(sandbox: Sandbox, { count, pace }: Pick<Order, 'count' | 'pace'>): Promise<Told> {
  const token = (await readFile(join(sandbox.directory, 'state/admin-token'), 'utf8')).trim();
  const child = spawn(process.execPath, [CLIENT], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify({ url: sandbox.url, token, template: TEMPLATE, count, pace } satisfies Order));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the client ended with code ${code}`);
  return JSON.parse(text) as Told;
}

/** Every lease that was answered is there after the supervisor was killed. */
async function durable(sandbox: Sandbox, ids: readonly string[], tell: (line: string) => void): Promise<void> {
  tell('kill -9 …');
  await sandbox.stop('SIGKILL');
  await sandbox.start();
  const { leases } = await sandbox.client.get<{ leases: LeaseView[] }>('/api/leases');
  const kept = new Set(leases.map(({ id }) => id));
  const lost = ids.filter((id) => !kept.has(id));
  if (lost.length > 0) throw new Error(`${lost.length} of ${ids.length} leases were lost by kill -9`);
}
