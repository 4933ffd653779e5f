import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { openValkeyStore } from '../../lib/store/valkey/valkey-store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { silentLogger as log } from '../../lib/util/logger.ts';
import { startValkey, VALKEY } from '../../test/support/valkey-server.ts';
import type { BenchOptions, Row } from './bench.ts';
import { percentiles } from './figures.ts';

const BOTS = 1000;
const BOT_BYTES = 10_000;
const ALONE = 1000;
const PER_SECOND = 500;
const SECONDS = 20;
const AT_ONCE = 1000;

/** What one durable change costs, of a state with 1,000 bots that bring 10 KB of files each, beside what the disk costs. */
export async function runStore({ progress, signal }: BenchOptions): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-bench-'));
  const tell = (line: string): void => {
    signal.throwIfAborted();
    progress(line);
  };
  const openStore = (): Promise<Store> => openFileStore({ path: join(folder, 'state/state.json'), clock, log });
  try {
    return [
      ...(await measureDisk(join(folder, 'bare'), tell)),
      ...(await measureStore('file', openStore, tell)),
      ...(VALKEY === null ? [] : await measureValkey(join(folder, 'marker'), tell)),
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

// Private

type Tell = (line: string) => void;

/** The least that a durable change can cost here and now: a line appended to a file and synced. */
async function measureDisk(path: string, tell: Tell): Promise<Row[]> {
  tell(`disk: ${ALONE} lines, one after the other …`);
  const file = await open(path, 'a');
  const line = 'x'.repeat(350);
  const times = await timesOf(ALONE, async () => {
    await file.write(line);
    await file.datasync();
  });
  await file.close();
  return percentiles('disk alone, one by one', times, `${line.length} bytes appended and synced`);
}

/** A server of its own on this machine, which syncs every commit to the same disk. */
async function measureValkey(marker: string, tell: Tell): Promise<Row[]> {
  const server = await startValkey();
  try {
    const location = server.location({ leaseMs: 10_000 });
    return await measureStore('valkey', () => openValkeyStore({ location, home: 'here', marker, clock, log }), tell);
  } finally {
    await server.dispose();
  }
}

async function measureStore(name: string, openStore: () => Promise<Store>, tell: Tell): Promise<Row[]> {
  tell(`${name} store: filling …`);
  const empty = await openStore();
  await empty.update((state) => ({ state: { ...state, bots: Table.of(manyBots()) }, result: null }));
  await empty.close();
  const store = await openStore();
  try {
    tell(`${name} store: ${ALONE} changes, one after the other …`);
    const alone = await timesOf(ALONE, () => touch(store));
    tell(`${name} store: ${PER_SECOND} changes a second for ${SECONDS} s …`);
    const paced = await Promise.all(await everySoOften(() => timed(() => touch(store))));
    tell(`${name} store: ${AT_ONCE} changes at once …`);
    const together = await Promise.all(Array.from({ length: AT_ONCE }, () => timed(() => touch(store))));
    const note = `${BOTS} bots of ${BOT_BYTES / 1000} KB in the state, each change one record, durable`;
    return [
      ...percentiles(`${name} store, one by one`, alone, note),
      ...percentiles(`${name} store, ${PER_SECOND} per second`, paced, note),
      ...percentiles(`${name} store, ${AT_ONCE} at once`, together, note),
    ];
  } finally {
    await store.close();
  }
}

function manyBots(): Record<string, BotRecord> {
  const ids = Array.from({ length: BOTS }, (_, n) => `bot-${n}`);
  return Object.fromEntries(ids.map((id) => [id, botOf(id)]));
}

function botOf(instanceId: string): BotRecord {
  return {
    instanceId,
    template: 'freqtrade',
    owner: 'admin',
    group: 'default',
    location: 'local',
    desired: 'running',
    deleting: false,
    archive: null,
    restore: null,
    move: null,
    legacy: null,
    files: { 'config.json': 'A'.repeat(BOT_BYTES) },
    env: {},
    args: [],
    limits: {},
    secrets: {},
    placement: null,
    generation: 1,
    restartGeneration: 1,
    desiredGeneration: 1,
    controlledGeneration: 0,
    reserve: null,
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}

/** What an acquire changes: a container is recorded or forgotten, so lines are as long as those of a lease. */
function touch(store: Store): Promise<number> {
  return store.update((state: State) => {
    const generation = state.generation + 1;
    const name = `container-${generation % 100}`;
    const record = {
      name,
      pool: 'freqtrade/default/local',
      capacity: 10,
      basePort: 9000,
      generation,
      image: null,
      removing: false,
      soleBot: null,
      emptying: null,
      entered: true,
      createdAt: '2026-01-01T00:00:00.000Z',
    };
    return { state: { ...state, generation, containers: { ...state.containers, [name]: record } }, result: generation };
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function timesOf(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) times.push(await timed(work));
  return times;
}

/** Begins the work at its moments, whether or not the earlier ones are done: a slow store is not spared. */
async function everySoOften(work: () => Promise<number>): Promise<Promise<number>[]> {
  const began = performance.now();
  const running: Promise<number>[] = [];
  while (running.length < PER_SECOND * SECONDS) {
    const due = Math.min(PER_SECOND * SECONDS, ((performance.now() - began) / 1000) * PER_SECOND);
    while (running.length < due) running.push(work());
    await sleep(1);
  }
  return running;
}
