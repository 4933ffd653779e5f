import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freeRange, type PortRange } from '../../lib/planner/ports.ts';

const NONE: ReadonlySet<number> = new Set();

describe('freeRange', () => {
  it.each([
    { desc: 'begins at the base', taken: [], blocked: [], want: 9000 },
    { desc: 'follows what is taken', taken: [{ basePort: 9000, capacity: 10 }], blocked: [], want: 9010 },
    {
      desc: 'uses a hole that is large enough',
      taken: [
        { basePort: 9000, capacity: 10 },
        { basePort: 9020, capacity: 10 },
      ],
      blocked: [],
      want: 9010,
    },
    {
      desc: 'passes a hole that is too small',
      taken: [
        { basePort: 9000, capacity: 10 },
        { basePort: 9015, capacity: 10 },
      ],
      blocked: [],
      want: 9025,
    },
    { desc: 'goes around a single blocked port', taken: [], blocked: [9004], want: 9005 },
    { desc: 'says so when there is none', taken: [{ basePort: 9000, capacity: 56_530 }], blocked: [], want: null },
  ])('$desc', ({ taken, blocked, want }) => {
    expect(freeRange(9000, 10, taken, new Set(blocked))).toBe(want);
  });

  it('never overlaps, never goes below the base, and finds the lowest', () => {
    const range = fc.record({
      basePort: fc.integer({ min: 8990, max: 9100 }),
      capacity: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 8 }),
        fc.uniqueArray(fc.integer({ min: 8990, max: 9100 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 15 }),
        (taken, blocked, capacity) => {
          const base = freeRange(9000, capacity, taken, new Set(blocked));
          const fits = (candidate: number): boolean =>
            !overlaps(taken, candidate, capacity) &&
            !blocked.some((port) => port >= candidate && port < candidate + capacity);
          expect(base).not.toBeNull();
          expect(base).toBeGreaterThanOrEqual(9000);
          expect(fits(base as number)).toBe(true);
          for (let lower = 9000; lower < (base as number); lower++) expect(fits(lower)).toBe(false);
        },
      ),
    );
  });

  it('does not go past the last port', () => {
    expect(freeRange(65_530, 10, [], NONE)).toBeNull();
    expect(freeRange(65_526, 10, [], NONE)).toBe(65_526);
  });
});

function overlaps(taken: readonly PortRange[], base: number, capacity: number): boolean {
  return taken.some((range) => base < range.basePort + range.capacity && range.basePort < base + capacity);
}
