import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KSM_FOLDER } from './ksm.ts';

/** How far the kernel had come by a moment. */
export interface MergeLook {
  /** Times it has gone through all memory it may merge, since the machine was started. */
  readonly fullScans: number;
  /** Pages that are saved now. */
  readonly saved: number;
}

export interface Merged {
  /** False: it was still saving more when there was no more time to wait. */
  readonly levelled: boolean;
  readonly seconds: number;
  /** Meanwhile. */
  readonly fullScans: number;
}

const LOOK_EVERY_MS = 10_000;
const LONGEST_SECONDS = 600;
/** A page is merged in the second scan that finds it unchanged, at the earliest. */
const SCANS_APART = 3;
const LOOKS_APART = 3;
/** Bots go on working, and what they write is separate again: it never stands still. */
const GROWTH = 1.01;

/** Resolves when the kernel has found most of what there is to merge, or time is up. */
export async function untilMerged(
  signal: AbortSignal,
  { folder = KSM_FOLDER, everyMs = LOOK_EVERY_MS, seconds = LONGEST_SECONDS } = {},
): Promise<Merged> {
  const began = performance.now();
  const elapsed = (): number => (performance.now() - began) / 1000;
  const first = look(folder);
  const looks = [first];
  let levelled = false;
  while (!levelled && elapsed() < seconds) {
    await sleep(everyMs, undefined, { signal });
    looks.push(look(folder));
    levelled = hasLevelled(looks);
  }
  const last = looks.at(-1) ?? first;
  return { levelled, seconds: elapsed(), fullScans: last.fullScans - first.fullScans };
}

/** Whether the latest look, several full scans after an earlier one, found hardly more saved than that. Pure. */
export function hasLevelled(looks: readonly MergeLook[]): boolean {
  const last = looks.at(-1);
  const earlier = looks
    .slice(0, -LOOKS_APART)
    .findLast(({ fullScans }) => fullScans + SCANS_APART <= (last?.fullScans ?? 0));
  return last !== undefined && earlier !== undefined && last.saved <= earlier.saved * GROWTH;
}

// Private

function look(folder: string): MergeLook {
  const read = (name: string): number => Number(readFileSync(join(folder, name), 'utf8'));
  return { fullScans: read('full_scans'), saved: read('pages_sharing') };
}
