import { expect, test } from 'vitest';
import { fitHeapToWork } from '../../lib/util/heap.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** The flags that were set after so many seconds of this much to do. */
async function flagsAfter(utilizations: readonly number[]): Promise<string[]> {
  const clock = new ManualClock();
  const flags: string[] = [];
  let look = 0;
  fitHeapToWork(
    clock,
    () => utilizations[look++] ?? 0,
    (flag) => flags.push(flag),
  );
  for (const _ of utilizations) await clock.advance(1000);
  return flags.slice(1);
}

const times = (count: number, utilization: number): number[] => new Array(count).fill(utilization);

test.each<{ what: string; utilizations: number[]; flags: string[] }>([
  { what: 'stays quick while there is something to do', utilizations: times(20, 0.5), flags: [] },
  { what: 'stays quick over short rests', utilizations: [...times(4, 0), 1, ...times(4, 0)], flags: [] },
  { what: 'saves memory at rest, told once', utilizations: times(20, 0.01), flags: ['--optimize-for-size'] },
  {
    what: 'is quick again with the next work, told once, and saves again after it',
    utilizations: [...times(8, 0), ...times(3, 1), ...times(8, 0)],
    flags: ['--optimize-for-size', '--no-optimize-for-size', '--optimize-for-size'],
  },
])('$what', async ({ utilizations, flags }) => {
  expect(await flagsAfter(utilizations)).toEqual(flags);
});
