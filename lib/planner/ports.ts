export interface PortRange {
  readonly basePort: number;
  readonly capacity: number;
}

const LAST_PORT = 65_535;

/**
 * Lowest range of `capacity` ports at or above `from` that touches no taken range and no blocked port; null when there is
 * none. Holes left by removed containers are used again.
 */
export function freeRange(
  from: number,
  capacity: number,
  taken: readonly PortRange[],
  blocked: ReadonlySet<number>,
): number | null {
  const ranges = [...taken, ...[...blocked].map((port) => ({ basePort: port, capacity: 1 }))].sort(
    (a, b) => a.basePort - b.basePort,
  );
  let base = from;
  for (const range of ranges) {
    if (range.basePort >= base + capacity) break;
    base = Math.max(base, range.basePort + range.capacity);
  }
  return base + capacity - 1 <= LAST_PORT ? base : null;
}
