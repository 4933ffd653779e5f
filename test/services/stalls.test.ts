import { describe, expect, it } from 'vitest';
import { Stalls } from '../../lib/services/stalls.ts';

const A = new Set(['a']);
const NONE = new Set<string>();

describe('certificates that do not come', () => {
  it('are begun anew when one has been missing for a while, and then ever more seldom', () => {
    const stalls = new Stalls();
    const begun = Array.from({ length: 200 }, (_, look) => look * 10_000).filter((now) => stalls.due(A, now, 1));
    expect(begun.slice(0, 4)).toEqual([20_000, 50_000, 110_000, 230_000]);
    const pauses = begun.slice(1).map((now, index) => now - (begun[index] ?? 0));
    expect(Math.max(...pauses)).toBe(600_000);
  });

  it('are left alone while they are young, one after the other', () => {
    const stalls = new Stalls();
    const looks = Array.from({ length: 50 }, (_, look) => stalls.due(new Set([`${look}`]), look * 10_000, 1));
    expect(looks).toEqual(looks.map(() => false));
  });

  it('are begun anew at once for the next that is missing, once all had come', () => {
    const stalls = new Stalls();
    expect([0, 15_000, 30_000].map((now) => stalls.due(A, now, 1))).toEqual([false, true, false]);
    expect(stalls.due(NONE, 40_000, 1)).toBe(false);
    expect([50_000, 65_000].map((now) => stalls.due(A, now, 1))).toEqual([false, true]);
  });
});
