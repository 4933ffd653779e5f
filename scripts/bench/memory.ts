import { setTimeout as sleep } from 'node:timers/promises';
import type { MemorySample } from '../../lib/domain/agent.ts';
import { availableBytes, memoryOf, pssOf } from '../lib/host-processes.ts';
import type { BenchOptions, Row } from './bench.ts';
import { GIB, MIB, median } from './figures.ts';
import { onGround } from './ground.ts';
import { withMerging } from './ksm.ts';
import { type Merged, untilMerged } from './merge-progress.ts';
import { untilTrading } from './trading.ts';
import { openWay } from './ways/open.ts';
import type { Ground, Way, WayKind } from './ways/way.ts';

/** Of one bot that shares nothing, with some room. */
const ALONE_BYTES = 260 * MIB;
const SPARE_BYTES = 2 * GIB;
const START_SECONDS = 900;
/** Beyond the time of a candle. */
const TRADE_SECONDS = 120;
/** Spread over a minute, because what bots need swings with what they do. */
const LOOKS = 5;
const LOOK_EVERY_MS = 12_000;

/** What one way was found to need. */
export interface Footprint {
  readonly kind: WayKind;
  readonly name: string;
  readonly note: string;
  readonly bots: readonly MemorySample[];
  readonly keepersBytes: number;
  readonly supervisorBytes: number | null;
  readonly startSeconds: number;
}

type Sample = Pick<Footprint, 'bots' | 'keepersBytes' | 'supervisorBytes'>;

/** Memory of bots that trade, and of all that keeps them: one way after the other, each alone. */
export function runMemory(options: BenchOptions): Promise<readonly Row[]> {
  return onGround(options, async (ground) => {
    const rows: Row[] = [];
    for (const count of options.bots) {
      const footprints: Footprint[] = [];
      for (const kind of options.ways) footprints.push(await measureWay(kind, count, ground, options));
      rows.push(...footprintRows(count, footprints));
    }
    return rows;
  });
}

/** Pure. Ratios are to a container per bot of the same run. */
export function footprintRows(count: number, footprints: readonly Footprint[]): Row[] {
  const reference = footprints.find(({ kind }) => kind === 'container');
  return footprints.flatMap((footprint) => {
    const { name, note, bots, keepersBytes, supervisorBytes, startSeconds } = footprint;
    const about = `${count} bots, ${name}`;
    const mib = (what: string, bytes: number, why = note): Row => ({
      name: `${about}: ${what}`,
      value: bytes / MIB,
      unit: 'MiB',
      note: why,
    });
    const rows = [
      mib('everything', totalOf(footprint)),
      mib('private per bot', median(bots.map(({ privateBytes }) => privateBytes)), 'median'),
      mib('PSS per bot', median(bots.map(({ pssBytes }) => pssBytes)), 'median'),
      mib('what keeps them', keepersBytes, 'part of everything'),
      {
        name: `${about}: all started`,
        value: startSeconds,
        unit: 's',
        note: 'asked for at once, until all trade',
      } as const,
    ];
    if (supervisorBytes !== null)
      rows.push(mib('Bunkhouse itself', supervisorBytes, 'PSS of its supervisor, not part of everything'));
    if (reference === undefined || reference === footprint) return rows;
    const ratio = totalOf(footprint) / totalOf(reference);
    return [...rows, { name: `${about} / ${reference.name}`, value: ratio, unit: 'x', note: 'of everything' }];
  });
}

// Private

const totalOf = ({ bots, keepersBytes }: Sample): number =>
  bots.reduce((sum, { pssBytes }) => sum + pssBytes, keepersBytes);

async function measureWay(kind: WayKind, count: number, ground: Ground, options: BenchOptions): Promise<Footprint> {
  const measure = (): Promise<Footprint> => withWay(kind, count, ground, options);
  if (kind !== 'merge') return measure();
  options.progress('kernel same-page merging is on until this way was measured');
  return withMerging(measure);
}

async function withWay(kind: WayKind, count: number, ground: Ground, options: BenchOptions): Promise<Footprint> {
  mustFit(count);
  options.signal.throwIfAborted();
  options.progress(`${kind}: opening for ${count} bots …`);
  const way = await openWay(kind, ground, count);
  try {
    return { kind, ...(await measure(way, count, ground, { ...options, merges: kind === 'merge' })) };
  } finally {
    await way.close();
  }
}

async function measure(
  way: Way,
  count: number,
  ground: Ground,
  { settleSeconds, progress, signal, merges }: BenchOptions & { readonly merges: boolean },
): Promise<Omit<Footprint, 'kind'>> {
  const ids = Array.from({ length: count }, (_, index) => `bot-${index}`);
  const began = performance.now();
  await way.start(ids);
  await Promise.all(ids.map((id) => way.port(id)));
  await untilTrading(way, ids, ground, { seconds: START_SECONDS });
  const startSeconds = (performance.now() - began) / 1000;
  progress(`${way.name}: ${count} bots trade after ${startSeconds.toFixed(0)} s, settling for ${settleSeconds} s …`);
  await sleep(settleSeconds * 1000, undefined, { signal });
  const merging = merges ? `; ${describeMerged(await untilMerged(signal))}` : '';
  const before = await untilTrading(way, ids, ground, { seconds: TRADE_SECONDS });
  await way.verify();
  const sample = await middleSample(way, ids, signal);
  const seconds = 60 * Number.parseInt(ground.timeframe, 10) + TRADE_SECONDS;
  await untilTrading(way, ids, ground, { since: before, seconds });
  progress(`${way.name}: ${(totalOf(sample) / MIB).toFixed(0)} MiB, and all bots went on trading`);
  const note = `${ground.timeframe} candles, median of ${LOOKS} looks; ${way.note}${merging}`;
  return { name: way.name, note, ...sample, startSeconds };
}

function describeMerged({ levelled, seconds, fullScans }: Merged): string {
  const how = levelled ? 'which had levelled' : 'which had not levelled';
  return `measured after ${seconds.toFixed(0)} s and ${fullScans} scans more of merging, ${how}`;
}

/** Of several looks, the one with the median total. */
async function middleSample(way: Way, ids: readonly string[], signal: AbortSignal): Promise<Sample> {
  const samples: Sample[] = [];
  for (let look = 0; look < LOOKS; look++) {
    if (look > 0) await sleep(LOOK_EVERY_MS, undefined, { signal });
    samples.push(await takeSample(way, ids));
  }
  const sorted = samples.toSorted((a, b) => totalOf(a) - totalOf(b));
  return sorted[Math.floor(LOOKS / 2)] as Sample;
}

async function takeSample(way: Way, ids: readonly string[]): Promise<Sample> {
  const { bots, keepers } = await way.census();
  const samples = ids.map((id) => {
    const sample = memoryOf(bots.get(id) ?? 0);
    if (sample === null) throw new Error(`${way.name}: ${id} is gone`);
    return sample;
  });
  const supervisorBytes = way.supervisor === null ? null : pssOf([way.supervisor]);
  return { bots: samples, keepersBytes: pssOf(keepers), supervisorBytes };
}

/** Measured under memory pressure the figures would be of something else. */
function mustFit(bots: number): void {
  const needed = bots * ALONE_BYTES + SPARE_BYTES;
  const available = availableBytes();
  if (available >= needed) return;
  const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;
  throw new Error(`${bots} bots may need ${gib(needed)}, and only ${gib(available)} are available here now`);
}
