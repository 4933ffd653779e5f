import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from '../../lib/util/backoff.ts';

const limits = { minMs: 1000, maxMs: 60_000 };

describe('backoffMs', () => {
  it.each([
    { failures: 1, random: 0, want: 500 },
    { failures: 1, random: 1, want: 1000 },
    { failures: 3, random: 1, want: 4000 },
    { failures: 100, random: 1, want: 60_000 },
    { failures: 0, random: 1, want: 1000 },
  ])('after $failures failures', ({ failures, random, want }) => {
    expect(backoffMs(failures, limits, random)).toBe(want);
  });

  it('stays within half and all of the capped doubling, for ever', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
        const delay = backoffMs(failures, limits, random);
        expect(delay).toBeGreaterThanOrEqual(500);
        expect(delay).toBeLessThanOrEqual(60_000);
      }),
    );
  });
});
