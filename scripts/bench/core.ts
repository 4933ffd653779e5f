import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { PoolStatus } from '../../lib/services/pool-api.ts';
import { createSandbox, REPOSITORY, type Sandbox } from '../../test/e2e/support.ts';
import type { BenchOptions, Row } from './bench.ts';
import { median, processRssMiB } from './figures.ts';

const FLEETS = [10, 1000] as const;
const SWEEPS = 5;
const SETTLE_MS = 20_000;

/** What the supervisor costs by itself. */
export async function runCore(options: BenchOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  options.progress('compiling …');
  await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: REPOSITORY });
  for (const bots of FLEETS) rows.push(...(await measureFleet(bots, options)));
  return rows;
}

/** Memory and sweep of a supervisor whose bots are make-believe, so that only its own work is measured. */
async function measureFleet(bots: number, { progress }: BenchOptions): Promise<Row[]> {
  progress(`memory driver with ${bots} bots …`);
  const sandbox = await createSandbox({
    basePort: 28_000,
    main: join(REPOSITORY, 'dist/main.js'),
    env: { POOL_DRIVER: 'memory' },
  });
  try {
    const client = await sandbox.start();
    const began = performance.now();
    const ids = Array.from({ length: bots }, (_, index) => `bot-${index}`);
    for (let from = 0; from < bots; from += 50) {
      await Promise.all(
        ids
          .slice(from, from + 50)
          .map((instanceId) => client.post('/api/bots', { instanceId, template: 'plain', files: { 'bot.py': '' } })),
      );
    }
    await allRunning(sandbox, bots);
    const createdSeconds = (performance.now() - began) / 1000;
    const sweeps: number[] = [];
    for (let round = 0; round < SWEEPS; round++) {
      const start = performance.now();
      await client.post('/api/pool/health-check', undefined);
      sweeps.push(performance.now() - start);
    }
    await sleep(SETTLE_MS);
    const note = `compiled, memory driver, ${SETTLE_MS / 1000} s after the last request`;
    return [
      { name: `supervisor RSS with ${bots} bots`, value: processRssMiB(sandbox.pid), unit: 'MiB', note },
      {
        name: `one full sweep of ${bots} bots`,
        value: median(sweeps),
        unit: 'ms',
        note: `median of ${SWEEPS}, over HTTP`,
      },
      {
        name: `${bots} bots created one API call each until all run`,
        value: createdSeconds,
        unit: 's',
        note: '50 calls at a time, every answer durable',
      },
    ];
  } finally {
    await sandbox.dispose();
  }
}

async function allRunning(sandbox: Sandbox, bots: number): Promise<void> {
  await sandbox.until(
    `${bots} bots run`,
    async () => (await sandbox.client.get<PoolStatus>('/api/pool/status')).health.bots.running === bots,
    300,
  );
}
