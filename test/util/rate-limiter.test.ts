import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../lib/util/rate-limiter.ts';

function setUp(perMinute: number, capacity = 100) {
  const time = { now: 5_000 };
  return { time, limiter: new RateLimiter({ clock: { monotonic: () => time.now }, perMinute, capacity }) };
}

describe('a rate limiter', () => {
  it('gives so many at once, then one after the other, and says how long to wait', () => {
    const { time, limiter } = setUp(3);
    expect([1, 2, 3].map(() => limiter.take('a'))).toEqual([0, 0, 0]);
    expect(limiter.take('a')).toBeCloseTo(20_000);
    expect(limiter.take('b')).toBe(0);
    time.now += 19_999;
    expect(limiter.take('a')).toBeCloseTo(1);
    time.now += 1;
    expect(limiter.take('a')).toBe(0);
    expect(limiter.take('a')).toBeCloseTo(20_000);
    time.now += 600_000;
    expect([1, 2, 3, 4].map(() => limiter.take('a') === 0)).toEqual([true, true, true, false]);
  });

  it('takes nothing when it refuses', () => {
    const { time, limiter } = setUp(1);
    limiter.take('a');
    for (let n = 0; n < 50; n++) expect(limiter.take('a')).toBeGreaterThan(0);
    time.now += 60_000;
    expect(limiter.take('a')).toBe(0);
  });

  it('never gives more than so many in any minute', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 200 }),
        (perMinute, pauses) => {
          const { time, limiter } = setUp(perMinute);
          const given: number[] = [];
          for (const pause of pauses) {
            time.now += pause;
            if (limiter.take('a') === 0) given.push(time.now);
          }
          // The bucket may be full when the minute begins and fills up within it.
          for (const [index, at] of given.entries()) {
            const within = given.slice(index).filter((other) => other - at < 60_000).length;
            expect(within).toBeLessThanOrEqual(2 * perMinute);
          }
          const minutes = ((given.at(-1) ?? 0) - (given[0] ?? 0)) / 60_000;
          expect(given.length).toBeLessThanOrEqual(perMinute * (minutes + 1) + 0.001);
        },
      ),
    );
  });

  it('remembers so many at most, and forgets those it has not seen for longest', () => {
    const { limiter } = setUp(1, 3);
    for (const key of ['a', 'b', 'c']) limiter.take(key);
    expect(limiter.take('a')).toBeGreaterThan(0);
    limiter.take('d');
    expect(limiter.size).toBe(3);
    expect(limiter.take('a')).toBeGreaterThan(0);
    expect(limiter.take('b')).toBe(0);
    for (let n = 0; n < 1000; n++) limiter.take(`x${n}`);
    expect(limiter.size).toBe(3);
  });
});
