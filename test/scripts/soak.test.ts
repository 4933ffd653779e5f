import { describe, expect, it } from 'vitest';
import { readSoak } from '../../scripts/soak/arguments.ts';
import { type Deed, nextDeed, seeded } from '../../scripts/soak/plan.ts';
import type { Snapshot } from '../../scripts/soak/snapshot.ts';
import { driftOf, driftProblems, problemsOf } from '../../scripts/soak/verdict.ts';

describe('the command line of a soak', () => {
  it('takes all it needs, and makes a seed of its own', () => {
    expect(readSoak(['--minutes', '1', '--bots', '4', '--driver', 'docker'], () => 7)).toEqual({
      kind: 'run',
      json: false,
      options: { minutes: 1, bots: 4, driver: 'docker', seed: 7, settleSeconds: 30 },
    });
    expect(readSoak(['--seed', '12'], () => 7)).toMatchObject({ options: { seed: 12, driver: 'process' } });
  });

  it.each([
    { args: ['--driver', 'kubernetes'], problem: /--driver/ },
    { args: ['--minutes', '0'], problem: /--minutes/ },
    { args: ['--seed', '-1'], problem: /--seed/ },
    { args: ['30'], problem: /30/ },
  ])('says what is wrong with $args', ({ args, problem }) => {
    expect(readSoak(args, () => 7)).toEqual({ kind: 'help', problem: expect.stringMatching(problem) });
  });
});

describe('what is done to a fleet', () => {
  const bots = ['a', 'b', 'c', 'd', 'e'];

  function run(seed: number, count: number): Deed[] {
    const random = seeded(seed);
    const stopped = new Set<string>();
    return Array.from({ length: count }, () => {
      const deed = nextDeed(random, bots, stopped);
      if (deed.kind === 'stop') stopped.add(deed.bot);
      if (deed.kind === 'start') stopped.delete(deed.bot);
      expect(stopped.size).toBeLessThanOrEqual(3);
      return deed;
    });
  }

  it('depends on the seed alone', () => {
    expect(run(1, 200)).toEqual(run(1, 200));
    expect(run(1, 200)).not.toEqual(run(2, 200));
  });

  it('is all there is, to every bot; and only stopped ones are started', () => {
    const deeds = run(3, 1000);
    expect(new Set(deeds.map(({ kind }) => kind))).toEqual(
      new Set(['stop', 'start', 'restart', 'kill', 'kill-zygote']),
    );
    expect(new Set(deeds.flatMap((deed) => ('bot' in deed ? [deed.bot] : [])))).toEqual(new Set(bots));
    const count = (kind: Deed['kind']): number => deeds.filter((deed) => deed.kind === kind).length;
    expect(count('stop') - count('start')).toBeGreaterThanOrEqual(0);
    expect(count('stop') - count('start')).toBeLessThanOrEqual(3);
  });
});

describe('the verdict on a soak', () => {
  const fleet: Snapshot = {
    bots: 10,
    processes: 12,
    zombies: 0,
    supervisord: { openFiles: 30, rssMiB: 25, pssMiB: 20 },
    zygote: { openFiles: 5, rssMiB: 200, pssMiB: 30 },
    forkedBots: 10,
    privatePerBotMiB: 30,
    sharedPerBotMiB: 200,
    totalPssMiB: 500,
  };
  const { supervisord, zygote } = fleet;

  it('finds nothing where nothing was lost', () => {
    const alike = {
      ...fleet,
      processes: 12,
      supervisord: { ...supervisord, openFiles: 34, rssMiB: 35 },
      privatePerBotMiB: 45,
    };
    expect(problemsOf(10, fleet, alike)).toEqual([]);
  });

  it.each([
    { end: { zombies: 1 }, problem: '1 zombies stay' },
    { end: { processes: 13 }, problem: 'processes grew from 12 to 13' },
    { end: { bots: 9 }, problem: 'only 9 of 10 bots live below supervisord at the end' },
    { end: { forkedBots: 9 }, problem: 'only 9 of 10 bots were forked at the end' },
    {
      end: { supervisord: { ...supervisord, openFiles: 35 } },
      problem: 'open descriptors of supervisord grew from 30 to 35',
    },
    {
      end: { supervisord: { ...supervisord, rssMiB: 35.2 } },
      problem: 'memory of supervisord grew from 25.0 MiB to 35.2 MiB',
    },
    { end: { zygote: { ...zygote, openFiles: 8 } }, problem: 'open descriptors of the zygote grew from 5 to 8' },
    { end: { zygote: { ...zygote, rssMiB: 211 } }, problem: 'memory of the zygote grew from 200.0 MiB to 211.0 MiB' },
    { end: { zygote: null }, problem: 'there is no zygote at the end' },
    { end: { privatePerBotMiB: 46 }, problem: 'private per bot went from 30.0 MiB to 46.0 MiB, above 45.0 MiB' },
  ])('finds that $problem', ({ end, problem }) => {
    expect(problemsOf(10, fleet, { ...fleet, ...end } as Snapshot)).toEqual([expect.stringContaining(problem)]);
  });

  it('does not take bots that never shared for a fleet that keeps sharing', () => {
    const alone = { ...fleet, privatePerBotMiB: 220 };
    expect(problemsOf(10, alone, alone)).toEqual([expect.stringContaining('above 80.0 MiB')]);
  });
});

describe('the growth of supervisord', () => {
  const minutes = (of: (minute: number) => number): number[] => Array.from({ length: 30 }, (_, minute) => of(minute));

  it('is none where a heap found its size early on', () => {
    const levelled = minutes((minute) => 38 + Math.min(minute, 7));
    expect(driftOf(levelled)).toBe(0);
    expect(driftProblems(levelled)).toEqual([]);
  });

  it('is told where it never ends', () => {
    const leaking = minutes((minute) => 38 + minute / 4);
    expect(driftProblems(leaking)).toEqual(['memory of supervisord goes on growing: by 4.0 MiB in half of the time']);
  });

  it('is not judged in a few minutes', () => {
    expect(driftOf([38, 39, 40, 41, 42])).toBeNull();
  });
});
