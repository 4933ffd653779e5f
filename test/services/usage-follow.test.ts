import { describe, expect, it } from 'vitest';
import type { BotObservation } from '../../lib/domain/agent.ts';
import type { Reading } from '../../lib/domain/usage.ts';
import { follow } from '../../lib/services/usage-follow.ts';
import { byHour } from '../../lib/services/usage-spells.ts';
import { aBot, observedBot } from '../planner/builders.ts';

/** Bot `b` was last looked at at second 1000, process 7 running since second 900 with 10 of its CPU seconds counted. */

const BEFORE: Reading = {
  owner: 'ann',
  container: 'c-1',
  at: 1_000_000,
  restarts: 3,
  process: { pid: 7, startedAt: 900, cpuSeconds: 10, pssBytes: 100 },
};
const DEAD: Reading = { ...BEFORE, process: null };
const SAME: Partial<BotObservation> = { pid: 7, startedAt: 900, restarts: 3, cpuSeconds: 12, ...pss(300) };
const exit = (at: number, expected = false) => ({ lastExit: { code: 1, signal: null, at, expected } });

function pss(bytes: number): Pick<BotObservation, 'memory'> {
  return { memory: { pssBytes: bytes, rssBytes: 0, privateBytes: 0, sharedBytes: 0, swapBytes: 0 } };
}

/** Looked at 60 s later; sums of seconds, byte-seconds and CPU seconds. */
function counted(before: Reading | null, observed: Partial<BotObservation>, countFrom = 0): number[] {
  const look = { owner: 'ann', container: 'c-1', at: 1_060_000, elapsedSeconds: 60, countFrom };
  const { spells } = follow(before, { ...look, observed: observedBot(aBot('b'), observed) });
  const sum = (of: (usage: (typeof spells)[number]['usage']) => number): number =>
    spells.reduce((total, { usage }) => total + of(usage), 0);
  return [sum((use) => use.runningSeconds), sum((use) => use.pssByteSeconds), sum((use) => use.cpuSeconds)];
}

describe('what is counted between two looks', () => {
  it.each<{ what: string; before: Reading | null; now: Partial<BotObservation>; is: number[] }>([
    { what: 'the same process, with the mean of its memory', before: BEFORE, now: SAME, is: [60, 60 * 200, 2] },
    {
      what: 'the same process that was not sampled this time',
      before: BEFORE,
      now: { ...SAME, memory: null, cpuSeconds: null },
      is: [60, 60 * 100, 0],
    },
    {
      what: 'the same process whose child ended and took its CPU time along',
      before: BEFORE,
      now: { ...SAME, cpuSeconds: 4 },
      is: [60, 60 * 200, 0],
    },
    {
      what: 'one that crashed at 1010 and another since 1020',
      before: BEFORE,
      now: { pid: 8, startedAt: 1020, restarts: 4, cpuSeconds: 5, ...pss(500), ...exit(1010) },
      is: [10 + 40, 10 * 100 + 40 * 500, 5],
    },
    {
      what: 'one that was restarted as asked',
      before: BEFORE,
      now: { pid: 8, startedAt: 1011, restarts: 3, cpuSeconds: 5, ...pss(500), ...exit(1010, true) },
      is: [10 + 49, 10 * 100 + 49 * 500, 5],
    },
    {
      what: 'the same pid with another start: that is another process',
      before: BEFORE,
      now: { pid: 7, startedAt: 1020, restarts: 4, cpuSeconds: 5, ...pss(500), ...exit(1010) },
      is: [50, 10 * 100 + 40 * 500, 5],
    },
    { what: 'one that ended', before: BEFORE, now: { pid: null, restarts: 3, ...exit(1010) }, is: [10, 1000, 0] },
    {
      what: 'one that ended before another did: when, nobody knows',
      before: BEFORE,
      now: { pid: null, restarts: 4, ...exit(1050) },
      is: [0, 0, 0],
    },
    {
      what: 'the last of several: only that one is known',
      before: BEFORE,
      now: { pid: 9, startedAt: 1055, restarts: 6, cpuSeconds: 1, ...pss(10), ...exit(1050) },
      is: [5, 50, 1],
    },
    {
      what: 'an exit of before: nothing is known of this one',
      before: BEFORE,
      now: { pid: null, restarts: 3, ...exit(990) },
      is: [0, 0, 0],
    },
    {
      what: 'an exit in a container that was made anew',
      before: BEFORE,
      now: { pid: null, restarts: 0, ...exit(1030) },
      is: [0, 0, 0],
    },
    { what: 'a dead bot that stays dead', before: DEAD, now: { pid: null, restarts: 3, ...exit(950) }, is: [0, 0, 0] },
    {
      what: 'a process that says it is older than the look at which there was none',
      before: DEAD,
      now: { ...SAME, ...exit(950) },
      is: [60, 60 * 300, 12],
    },
    { what: 'a bot nobody ever looked at', before: null, now: SAME, is: [160, 160 * 300, 12] },
    {
      what: 'a process from the future',
      before: null,
      now: { ...SAME, startedAt: 5000, cpuSeconds: 0 },
      is: [0, 0, 0],
    },
  ])('$what', ({ before, now, is }) => {
    expect(counted(before, now)).toEqual(is);
  });

  it('leaves out what a process did before it is to be counted, of its CPU time in proportion', () => {
    expect(counted(null, SAME, 1_020_000)).toEqual([40, 40 * 300, 12 / 4]);
    expect(counted(null, SAME, 2_000_000)).toEqual([0, 0, 0]);
  });

  it('keeps what was not sampled, so that the next look goes on from it', () => {
    const look = { owner: 'ann', container: 'c-1', at: 1_060_000, elapsedSeconds: 60, countFrom: 0 };
    const observed = observedBot(aBot('b'), { ...SAME, memory: null, cpuSeconds: null });
    expect(follow(BEFORE, { ...look, observed }).now.process).toEqual(BEFORE.process);
  });
});

describe('a spell', () => {
  it('is split between the hours it lies in', () => {
    const end = Date.UTC(2026, 4, 1, 12, 15);
    const usage = { runningSeconds: 7200, pssByteSeconds: 720, cpuSeconds: 72 };
    expect(byHour({ end, seconds: 7200, usage })).toEqual([
      { period: '2026-05-01T10', usage: { runningSeconds: 2700, pssByteSeconds: 270, cpuSeconds: 27 } },
      { period: '2026-05-01T11', usage: { runningSeconds: 3600, pssByteSeconds: 360, cpuSeconds: 36 } },
      { period: '2026-05-01T12', usage: { runningSeconds: 900, pssByteSeconds: 90, cpuSeconds: 9 } },
    ]);
  });

  it('that ends with the hour has nothing of the next', () => {
    const usage = { runningSeconds: 60, pssByteSeconds: 1, cpuSeconds: 1 };
    const parts = byHour({ end: Date.UTC(2026, 4, 1, 12), seconds: 60, usage });
    expect(parts.map(({ period }) => period)).toEqual(['2026-05-01T11']);
  });

  it('of no time at all keeps its CPU time', () => {
    const usage = { runningSeconds: 0, pssByteSeconds: 0, cpuSeconds: 2 };
    expect(byHour({ end: Date.UTC(2026, 4, 1, 12), seconds: 0, usage })).toEqual([{ period: '2026-05-01T12', usage }]);
  });
});
