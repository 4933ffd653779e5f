import type { Clock } from './clock.ts';

/**
 * The time of day as it was at the start, and from then on by the monotonic clock: when somebody sets the clock, what is
 * measured by this one neither ends nor lasts longer. Milliseconds since the epoch.
 */
export class SteadyClock {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #offset: number;

  /** `earliest`: a moment known to be over. A machine may start with its clock far behind, until the network tells it the time. */
  constructor(clock: Pick<Clock, 'now' | 'monotonic'>, earliest = Number.NEGATIVE_INFINITY) {
    this.#clock = clock;
    this.#offset = Math.max(clock.now(), earliest) - clock.monotonic();
  }

  now(): number {
    return this.#offset + this.#clock.monotonic();
  }

  /** Moves its time together with what is measured by it, which `work` begins to move at once; back when that fails. */
  async step(byMs: number, work: () => Promise<void>): Promise<void> {
    const moved = work();
    this.#offset += byMs;
    try {
      await moved;
    } catch (error) {
      this.#offset -= byMs;
      throw error;
    }
  }
}
