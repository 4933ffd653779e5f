import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../test/support/ports.ts';
import { processRssMiB } from '../bench/figures.ts';
import { onGround } from '../bench/ground.ts';
import { untilTrading } from '../bench/trading.ts';
import { POOLED } from '../bench/ways/open.ts';
import { openPooled, type PooledWay } from '../bench/ways/pooled.ts';
import type { Ground } from '../bench/ways/way.ts';
import type { SoakOptions } from './arguments.ts';
import { type Deed, nextDeed, seeded } from './plan.ts';
import { findApart, findDoubled, type Snapshot, takeSnapshot, zygotePid } from './snapshot.ts';
import { driftProblems, problemsOf } from './verdict.ts';

const FIRST_PORT = 24_000;
const LAST_PORT = 24_999;
const TRADE_SECONDS = 900;
const LONGEST_REST_MS = 2500;

export interface SoakReport {
  readonly deeds: Readonly<Record<Deed['kind'], number>>;
  /** Bots that were started again before the last figures, because they shared nothing with the zygote of then. */
  readonly reforked: number;
  readonly start: Snapshot;
  readonly end: Snapshot;
  /** RSS of supervisord after each minute. */
  readonly supervisordMiB: readonly number[];
  /** Empty when nothing was lost. */
  readonly problems: readonly string[];
}

export interface SoakContext extends SoakOptions {
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A fleet is measured at rest, harassed, and measured at rest again. */
export function runSoak(context: SoakContext): Promise<SoakReport> {
  return onGround({ timeframe: '1m', signal: context.signal }, async (ground) => {
    const { bots: capacity, driver } = context;
    const basePort = await freePorts(FIRST_PORT, LAST_PORT, capacity);
    const way = await openPooled(ground, POOLED[driver === 'docker' ? 'prefork' : 'process-prefork'], {
      basePort,
      capacity,
    });
    try {
      return await soak(way, ground, context);
    } finally {
      await way.close();
    }
  });
}

// Private

async function soak(way: PooledWay, ground: Ground, context: SoakContext): Promise<SoakReport> {
  const { bots, driver, progress } = context;
  const ids = Array.from({ length: bots }, (_, index) => `bot-${index}`);
  await way.start(ids);
  const start = await measureAtRest(way, ids, ground, context);
  progress(`${bots} bots trade: ${start.privatePerBotMiB.toFixed(1)} MiB private each, seed ${context.seed}`);
  const { deeds, doubled, supervisordMiB } = await harass(way, ids, ground, context);
  await wish(way, ids, 'start');
  await untilTrading(way, ids, ground, { seconds: TRADE_SECONDS });
  const apart = await findApart(way, driver);
  progress(`forking ${apart.length} bots anew that share nothing with the zygote of now …`);
  await wish(way, apart, 'restart');
  const end = await measureAtRest(way, ids, ground, context);
  const problems = [...doubled, ...problemsOf(bots, start, end), ...driftProblems(supervisordMiB)];
  return { deeds, reforked: apart.length, start, end, supervisordMiB, problems };
}

async function measureAtRest(
  way: PooledWay,
  ids: readonly string[],
  ground: Ground,
  { driver, settleSeconds, signal }: SoakContext,
): Promise<Snapshot> {
  const since = await untilTrading(way, ids, ground, { seconds: TRADE_SECONDS });
  await sleep(settleSeconds * 1000, undefined, { signal });
  await untilTrading(way, ids, ground, { since, seconds: TRADE_SECONDS });
  return takeSnapshot(way, driver);
}

interface Harassed extends Pick<SoakReport, 'supervisordMiB'> {
  readonly deeds: Record<Deed['kind'], number>;
  readonly doubled: readonly string[];
}

async function harass(
  way: PooledWay,
  ids: readonly string[],
  ground: Ground,
  { minutes, seed, driver, progress }: SoakContext,
): Promise<Harassed> {
  const random = seeded(seed);
  const stopped = new Set<string>();
  const deeds = { stop: 0, start: 0, restart: 0, kill: 0, 'kill-zygote': 0 };
  const doubled = new Set<string>();
  const began = performance.now();
  const supervisordMiB: number[] = [];
  for (;;) {
    const minute = Math.floor((performance.now() - began) / 60_000);
    if (minute > supervisordMiB.length) {
      supervisordMiB.push(await memoryOfSupervisord(way));
      progress(`minute ${minute} of ${minutes}: ${JSON.stringify(deeds)}, supervisord ${supervisordMiB.at(-1)} MiB`);
    }
    if (minute >= minutes) return { deeds, doubled: [...doubled], supervisordMiB };
    const deed = nextDeed(random, ids, stopped);
    if (deed.kind === 'stop') stopped.add(deed.bot);
    if (deed.kind === 'start') stopped.delete(deed.bot);
    await act(way, deed, driver);
    deeds[deed.kind] += 1;
    for (const id of await findDoubled(way, ids)) doubled.add(`${id} ran twice in minute ${minute}`);
    await sleep(random() * LONGEST_REST_MS, undefined, { signal: ground.signal });
  }
}

/** Nothing is done to what does not live just now. */
async function act(way: PooledWay, deed: Deed, driver: 'process' | 'docker'): Promise<void> {
  switch (deed.kind) {
    case 'kill':
      return end((await way.census()).bots.get(deed.bot) ?? null);
    case 'kill-zygote':
      return end(await zygotePid(way, driver));
    default:
      return wish(way, [deed.bot], deed.kind);
  }
}

async function memoryOfSupervisord(way: PooledWay): Promise<number> {
  const [pid] = await way.supervisords();
  if (pid === undefined) throw new Error('there is no supervisord');
  return Math.round(processRssMiB(pid) * 10) / 10;
}

async function wish(way: PooledWay, ids: readonly string[], what: 'stop' | 'start' | 'restart'): Promise<void> {
  await Promise.all(ids.map((id) => way.sandbox.client.post(`/api/bots/${id}/${what}`)));
}

function end(pid: number | null): void {
  if (pid !== null) process.kill(pid, 'SIGKILL');
}
