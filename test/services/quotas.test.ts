import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { State } from '../../lib/domain/state.ts';
import { type AcquisitionLimits, countLease, forgetQuotas } from '../../lib/services/quotas.ts';
import { aState, NOW } from '../planner/builders.ts';
import { aLease, moment, withLeases } from './lease-records.ts';

const HOUR = 3_600_000;
const NO_LIMITS: AcquisitionLimits = { perOwner: null, hourly: null, daily: null };

/** How many of the attempts, at these times, are let through, and what the last refusal says. */
function attempt(times: readonly number[], limits: Partial<AcquisitionLimits>) {
  let state: State = aState([]);
  let allowed = 0;
  let refusal: BunkhouseError | null = null;
  for (const at of times) {
    try {
      state = countLease(state, 'alice', { ...NO_LIMITS, ...limits }, at);
      allowed += 1;
    } catch (error) {
      refusal = error as BunkhouseError;
    }
  }
  return { allowed, code: refusal?.code, after: refusal?.retryAfterSeconds, state };
}

describe('quotas', () => {
  it.each([
    { what: 'no limit', times: [0, 0, 0], limits: {}, allowed: 3 },
    { what: 'two an hour', times: [0, 1, 2], limits: { hourly: 2 }, allowed: 2, after: 3600 },
    { what: 'the hour is nearly over', times: [0, 1, HOUR - 2500], limits: { hourly: 2 }, allowed: 2, after: 3 },
    { what: 'the hour is over', times: [0, 1, HOUR], limits: { hourly: 2 }, allowed: 3 },
    {
      what: 'a refused one does not count',
      times: [0, 1, 2, HOUR, HOUR],
      limits: { hourly: 1 },
      allowed: 2,
      after: 3600,
    },
    { what: 'two a day', times: [0, 5 * HOUR, 10 * HOUR], limits: { daily: 2 }, allowed: 2, after: 14 * 3600 },
    { what: 'the day is over', times: [0, 1, 24 * HOUR], limits: { daily: 2 }, allowed: 3 },
    {
      what: 'the tighter one',
      times: [0, 1, HOUR, HOUR + 1],
      limits: { hourly: 2, daily: 3 },
      allowed: 3,
      after: 23 * 3600,
    },
    {
      what: 'the clock was set back: no new quota',
      times: [0, 1, -5 * HOUR],
      limits: { hourly: 2 },
      allowed: 2,
      after: 3600,
    },
    {
      what: 'the clock was set back: no endless wait',
      times: [0, 1, -5 * HOUR, -4 * HOUR],
      limits: { hourly: 2 },
      allowed: 2,
      after: 3600,
    },
    { what: 'set back within the quota', times: [0, -9 * HOUR, -8 * HOUR], limits: { hourly: 2 }, allowed: 3 },
  ])('$what', ({ times, limits, allowed, after }) => {
    const result = attempt(
      times.map((at) => NOW + at),
      limits,
    );
    expect(result).toMatchObject({ allowed, after, code: after === undefined ? undefined : 'RATE_LIMITED' });
  });

  it('counts each owner apart', () => {
    const { state } = attempt([NOW, NOW], {});
    expect(() => countLease(state, 'bob', { ...NO_LIMITS, hourly: 1 }, NOW)).not.toThrow();
    expect(() => countLease(state, 'alice', { ...NO_LIMITS, hourly: 2 }, NOW)).toThrow(BunkhouseError);
  });

  it('holds an owner to so many at a time, and says when the next one ends', () => {
    const leases = [
      aLease('l1', { expiresAt: moment(90) }),
      aLease('l2', { expiresAt: moment(20) }),
      aLease('l3', { end: { at: moment(-1), how: 'released' } }),
      aLease('l4', { owner: 'bob' }),
    ];
    const state = withLeases([], leases);
    expect(() => countLease(state, 'alice', { ...NO_LIMITS, perOwner: 3 }, NOW)).not.toThrow();
    expect(() => countLease(state, 'alice', { ...NO_LIMITS, perOwner: 2 }, NOW)).toThrow(
      expect.objectContaining({ code: 'RATE_LIMITED', retryAfterSeconds: 20 }),
    );
  });

  it('forgets what is over', () => {
    const { state } = attempt([NOW], {});
    expect(forgetQuotas(state, NOW + 24 * HOUR - 1)).toBe(state);
    expect(forgetQuotas(state, NOW + 24 * HOUR).quotas.size).toBe(0);
  });
});
