export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * Milliseconds before attempt `failures + 1`: doubling, capped, with "equal jitter" (half fixed, half random), so that
 * many targets that failed together do not come back together. `random` is in [0, 1).
 */
export function backoffMs(failures: number, limits: BackoffLimits, random: number): number {
  const ceiling = Math.min(limits.maxMs, limits.minMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}
