import type { Clock } from './clock.ts';

export interface RateLimiterOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly perMinute: number;
  /** Keys remembered at most. */
  readonly capacity?: number;
}

const MINUTE_MS = 60_000;
const CAPACITY = 20_000;

/**
 * So many a minute for each key, all at once or spread. One number a key: when what it has taken will have been made good.
 * Beyond the capacity the key not seen for longest is forgotten.
 */
export class RateLimiter {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #costMs: number;
  readonly #capacity: number;
  /** Longest unseen first. */
  readonly #settledAt = new Map<string, number>();

  constructor({ clock, perMinute, capacity = CAPACITY }: RateLimiterOptions) {
    this.#clock = clock;
    this.#costMs = MINUTE_MS / perMinute;
    this.#capacity = capacity;
  }

  /** Takes one, and returns 0; or takes none, and returns the milliseconds until one is to be had. */
  take(key: string): number {
    const now = this.#clock.monotonic();
    const before = Math.max(now, this.#settledAt.get(key) ?? 0);
    const after = before + this.#costMs;
    const tooEarlyMs = after - now - MINUTE_MS;
    // What a sum of fractions is off by must not cost a call.
    const refused = tooEarlyMs > 0.001;
    this.#settledAt.delete(key);
    this.#settledAt.set(key, refused ? before : after);
    if (this.#settledAt.size > this.#capacity) this.#forgetOldest();
    return refused ? tooEarlyMs : 0;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#settledAt.size;
  }

  #forgetOldest(): void {
    const [oldest] = this.#settledAt.keys();
    if (oldest !== undefined) this.#settledAt.delete(oldest);
  }
}
