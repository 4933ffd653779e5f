import { getTasks } from 'node-cron';
import { describe, expect, it } from 'vitest';
import type { ReserveRule, ReserveWindow } from '../../lib/domain/template.ts';
import { ReserveTargets } from '../../lib/services/reserve-targets.ts';
import { ReserveWindows } from '../../lib/services/reserve-windows.ts';
import { aState, aTemplate, ECHO_HERE, NOW } from '../planner/builders.ts';
import { aMember } from './lease-records.ts';

const SETTINGS = { target: 10, locationTargets: new Map(), min: 3, max: 50, batchSize: 4, batchSpacingSeconds: 10 };
const SILENT: ReserveRule = {
  target: null,
  locations: {},
  min: null,
  batchSize: null,
  batchSpacingSeconds: null,
  windows: [],
};

function targetsOf(rule: Partial<ReserveRule> = {}) {
  const time = { now: NOW, monotonic: 5 };
  const lease = {
    ttlSeconds: 60,
    maxTtlSeconds: 60,
    perOwner: null,
    access: {},
    reserve: { ...SILENT, ...rule },
    reset: null,
  };
  const templates = new Map([
    ['echo', aTemplate({ lease })],
    ['plain', aTemplate({ name: 'plain' })],
  ]);
  const clock = { now: () => time.now, monotonic: () => time.monotonic };
  const locations = { all: ['local'] };
  const targets = new ReserveTargets({ templates, settings: SETTINGS, locations, clock, random: () => 1 });
  const withReady = (ready: number) =>
    targets.now(aState(Array.from({ length: ready }, (_, n) => aMember(`b${n}`, 'ready')))).get('echo/local');
  return { targets, time, withReady };
}

describe('targets of the reserve', () => {
  it('are those of the template, else the settings; there are none for what is not leased', () => {
    const { targets, withReady } = targetsOf({ min: 99, batchSize: 7 });
    expect(withReady(0)).toMatchObject({ target: 10, min: 10, max: 50, batchSize: 7, notBefore: 0 });
    expect([...targets.now(aState([])).keys()]).toEqual(['echo/local']);
  });

  it('refill from below the minimum until full, and fill up at the start', () => {
    const { withReady } = targetsOf();
    const refilling = [5, 9, 10, 9, 3, 2, 3, 9, 10, 9].map((ready) => withReady(ready)?.refilling);
    expect(refilling).toEqual([true, true, false, false, false, true, true, true, false, false]);
  });

  it('space batches', () => {
    const { targets, withReady } = targetsOf({ batchSpacingSeconds: 2.5 });
    targets.noteBatch(ECHO_HERE);
    expect(withReady(0)).toMatchObject({ notBefore: 2505, why: expect.stringContaining('next batch') });
  });

  it('wait longer and longer while bots do not get well, and not after one did', () => {
    const { targets, time, withReady } = targetsOf();
    const waits = Array.from({ length: 9 }, () => {
      // Two that were made together count once.
      targets.noteUnwell(ECHO_HERE, 'b1 was not well');
      targets.noteUnwell(ECHO_HERE, 'b2 was not well');
      const { notBefore = 0, why } = withReady(0) ?? {};
      expect(why).toBe('b1 was not well');
      const wait = notBefore - time.monotonic;
      time.monotonic = notBefore;
      return wait / 1000;
    });
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 600, 600, 600]);
    targets.noteWell(ECHO_HERE);
    targets.noteUnwell(ECHO_HERE, 'again');
    expect((withReady(0)?.notBefore ?? 0) - time.monotonic).toBe(10_000);
  });
});

describe('targets by location', () => {
  const targetsIn = (rule: Partial<ReserveRule>, locationTargets: Record<string, number> = {}) => {
    const settings = { ...SETTINGS, locationTargets: new Map(Object.entries(locationTargets)) };
    const lease = {
      ttlSeconds: 60,
      maxTtlSeconds: 60,
      perOwner: null,
      access: {},
      reserve: { ...SILENT, ...rule },
      reset: null,
    };
    const clock = { now: () => NOW, monotonic: () => 5 };
    const targets = new ReserveTargets({
      templates: new Map([['echo', aTemplate({ lease })]]),
      settings,
      locations: { all: ['weur', 'enam'] },
      clock,
      random: () => 1,
    });
    return { targets, now: () => [...targets.now(aState([])).values()] };
  };
  const always: ReserveWindow = { cron: '* * * * *', minutes: 5, target: 50 };

  it.each<{ what: string; rule: Partial<ReserveRule>; settings?: Record<string, number>; wanted: number[] }>([
    { what: 'the setting, in each', rule: {}, wanted: [10, 10] },
    { what: 'the setting for a location', rule: {}, settings: { enam: 1 }, wanted: [10, 1] },
    { what: 'the template before any setting', rule: { target: 4 }, settings: { enam: 1 }, wanted: [4, 4] },
    { what: 'the template for a location first', rule: { target: 4, locations: { enam: 7 } }, wanted: [4, 7] },
    { what: 'that of a window while it is open', rule: { windows: [always] }, wanted: [50, 50] },
    {
      what: 'but none where there is to be none',
      rule: { windows: [always], locations: { enam: 0 } },
      wanted: [50, 0],
    },
    { what: 'nor by the setting', rule: { windows: [always] }, settings: { weur: 0 }, wanted: [0, 50] },
  ])('are $what', ({ rule, settings, wanted }) => {
    const { now } = targetsIn(rule, settings);
    expect(now().map(({ location, target }) => [location, target])).toEqual([
      ['weur', wanted[0]],
      ['enam', wanted[1]],
    ]);
  });

  it('are refilled each for itself', () => {
    const { targets, now } = targetsIn({});
    targets.noteUnwell({ template: 'echo', location: 'weur' }, 'not well');
    expect(now().map(({ why }) => why)).toEqual(['not well', '']);
  });
});

/** Thursday, in the time zone of the machine as cron has it. */
const at = (hours: number, minutes = 0, seconds = 0): number => new Date(2026, 0, 1, hours, minutes, seconds).getTime();

describe('windows', () => {
  const nine: ReserveWindow = { cron: '0 9 * * 1-5', minutes: 60, target: 50 };
  it.each([
    { cron: nine.cron, minutes: 60, time: at(8, 59, 59), open: false },
    { cron: nine.cron, minutes: 60, time: at(9), open: true },
    { cron: nine.cron, minutes: 60, time: at(9, 59, 59), open: true },
    { cron: nine.cron, minutes: 60, time: at(10), open: false },
    { cron: '0 9 * * 0,6', minutes: 60, time: at(9), open: false },
    { cron: '30 23 * * *', minutes: 120, time: at(0, 30), open: true },
    { cron: '*/10 * * * *', minutes: 1, time: at(9, 20, 30), open: true },
    { cron: '*/10 * * * *', minutes: 1, time: at(9, 21), open: false },
    { cron: '0 0 * * 1', minutes: 7 * 24 * 60, time: at(9), open: true },
  ])('$cron for $minutes min at $time: $open', ({ cron, minutes, time, open }) => {
    expect(new ReserveWindows().targetAt([{ cron, minutes, target: 1 }], time)).toBe(open ? 1 : null);
  });

  it('give the highest target of those that are open', () => {
    const windows = new ReserveWindows();
    const given = [
      nine,
      { cron: '30 9 * * *', minutes: 10, target: 5 },
      { cron: '30 9 * * *', minutes: 5, target: 90 },
    ];
    const targets = [at(8), at(9), at(9, 30), at(9, 36), at(9, 59), at(10)].map((now) => windows.targetAt(given, now));
    expect(targets).toEqual([null, 50, 90, 50, 50, null]);
  });

  it('open and close with a clock that is set', () => {
    const windows = new ReserveWindows();
    const targets = [at(8), at(9, 59), at(8, 30), at(9), at(23), at(9, 10)].map((now) => windows.targetAt([nine], now));
    expect(targets).toEqual([null, 50, null, 50, null, 50]);
  });

  it('leave nothing behind from minute to minute', () => {
    const windows = new ReserveWindows();
    windows.targetAt([nine], at(8));
    const before = getTasks().size;
    for (let minute = 0; minute < 120; minute++) windows.targetAt([nine], at(8, minute));
    expect(getTasks().size).toBe(before);
  });
});
