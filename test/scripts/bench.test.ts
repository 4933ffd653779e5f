import { describe, expect, it } from 'vitest';
import type { MemorySample } from '../../lib/domain/agent.ts';
import type { Answer } from '../../scripts/bench/answering.ts';
import { readCommand } from '../../scripts/bench/arguments.ts';
import { median } from '../../scripts/bench/figures.ts';
import { type Footprint, footprintRows } from '../../scripts/bench/memory.ts';
import { type Round, startRows } from '../../scripts/bench/start-rows.ts';
import { tradedOn } from '../../scripts/bench/trading.ts';

describe('the command line of a benchmark', () => {
  it('takes fleets, ways and seconds', () => {
    const args = ['memory', '--bots', '10,30', '--settle', '5', '--ways', 'exec,pm2', '--json'];
    expect(readCommand(args)).toMatchObject({
      kind: 'run',
      bench: 'memory',
      json: true,
      options: { bots: [10, 30], settleSeconds: 5, ways: ['exec', 'pm2'], allowKsm: false, rounds: 5 },
    });
  });

  it('merges pages only when told that it may', () => {
    const waysOf = (...args: string[]): unknown => {
      const command = readCommand(['memory', ...args]);
      return command.kind === 'run' ? command.options.ways : command.problem;
    };
    expect(waysOf()).not.toContain('merge');
    expect(waysOf('--allow-ksm')).toContain('merge');
    expect(waysOf('--ways', 'merge')).toBe('the way merge needs --allow-ksm');
    expect(waysOf('--ways', 'exec', '--allow-ksm')).toEqual(['exec']);
  });

  it.each([
    { args: [], problem: /give one of core/ },
    { args: ['memory', 'starts'], problem: /give one of core/ },
    { args: ['speed'], problem: /give one of core/ },
    { args: ['memory', '--bots', '10,'], problem: /--bots must be a whole number from 1 to 100, not ""/ },
    { args: ['memory', '--bots', '101'], problem: /--bots/ },
    { args: ['core', '--rounds', '0'], problem: /--rounds/ },
    { args: ['memory', '--ways', 'exec,podman'], problem: /not "podman"/ },
    { args: ['memory', '--fast'], problem: /--fast/ },
  ])('says what is wrong with $args', ({ args, problem }) => {
    expect(readCommand(args)).toEqual({ kind: 'help', problem: expect.stringMatching(problem) });
  });

  it('gives help when asked', () => {
    expect(readCommand(['--help'])).toEqual({ kind: 'help', problem: null });
  });
});

describe('figures', () => {
  it.each([
    { values: [3], middle: 3 },
    { values: [10, 9, 1], middle: 9 },
    { values: [4, 1, 2, 10], middle: 3 },
  ])('have the median $middle', ({ values, middle }) => {
    expect(median(values)).toBe(middle);
  });
});

describe('a bot', () => {
  const before = { beat: 100, candles: 5 };
  it.each([
    { after: { beat: 105, candles: 10 }, trades: true },
    { after: { beat: 105, candles: 5 }, trades: false },
    { after: { beat: 100, candles: 10 }, trades: false },
  ])('with $after after $trades trading', ({ after, trades }) => {
    expect(tradedOn(before, after)).toBe(trades);
  });
});

describe('rows of memory', () => {
  const MIB = 2 ** 20;
  const sample = (pss: number, own: number): MemorySample => ({
    pssBytes: pss * MIB,
    rssBytes: 300 * MIB,
    privateBytes: own * MIB,
    sharedBytes: (300 - own) * MIB,
    swapBytes: 0,
  });
  const footprint = (kind: Footprint['kind'], bots: readonly MemorySample[], keepers: number): Footprint => ({
    kind,
    name: kind,
    note: '',
    bots,
    keepersBytes: keepers * MIB,
    supervisorBytes: null,
    startSeconds: 1,
  });

  it('sum bots and keepers, and compare with a container per bot', () => {
    const rows = footprintRows(2, [
      footprint('prefork', [sample(40, 30), sample(50, 20)], 10),
      footprint('container', [sample(200, 190), sample(180, 170)], 20),
    ]);
    const value = (name: string): number | undefined => rows.find((row) => row.name === name)?.value;
    expect(value('2 bots, prefork: everything')).toBe(100);
    expect(value('2 bots, prefork: private per bot')).toBe(25);
    expect(value('2 bots, container: everything')).toBe(400);
    expect(value('2 bots, prefork / container')).toBe(0.25);
    expect(value('2 bots, container / container')).toBeUndefined();
  });

  it('have no ratio where there is nothing to compare with', () => {
    const rows = footprintRows(1, [footprint('prefork', [sample(40, 30)], 10)]);
    expect(rows.filter(({ unit }) => unit === 'x')).toEqual([]);
  });
});

describe('rows of starts', () => {
  const answers = (...seconds: number[]): Answer[] =>
    seconds.map((value) => ({ seconds: value, ownerSeconds: value + 1, cpuSeconds: value * 2 }));
  const round = (one: number): Round => ({
    startAlone: answers(one),
    killAlone: answers(one),
    startMany: answers(one, 2 * one, 9 * one),
    killMany: answers(one),
  });

  it('are medians of rounds, of each bot and of the last, and compare prefork with exec', () => {
    const rows = startRows(3, [
      { kind: 'exec', name: 'exec', note: '', rounds: [round(2), round(3), round(40)] },
      { kind: 'prefork', name: 'prefork', note: '', rounds: [round(1)] },
    ]);
    const value = (name: string): number | undefined => rows.find((row) => row.name === name)?.value;
    expect(value('start to answering, exec')).toBe(3);
    expect(value('start to answering its owner, exec')).toBe(4);
    expect(value('CPU of a start, prefork')).toBe(2);
    expect(value('start of 3 at once, each, exec')).toBe(6);
    expect(value('start of 3 at once, the last, exec')).toBe(27);
    expect(value('start to answering, prefork / exec')).toBeCloseTo(1 / 3);
    expect(value('start to answering, exec / prefork')).toBeUndefined();
  });
});
