import type { Clock } from './clock.ts';

/**
 * The time of day as it was at the start, and from then on by the monotonic clock: somebody who sets the clock neither
 * ends nor lengthens what is measured by it. Milliseconds since the epoch.
 */
export function steadyClock(clock: Pick<Clock, 'now' | 'monotonic'>): () => number {
  const offset = clock.now() - clock.monotonic();
  return () => offset + clock.monotonic();
}
