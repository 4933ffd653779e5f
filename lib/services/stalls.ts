import { type BackoffLimits, backoffMs } from '../util/backoff.ts';

/** A certificate takes seconds; after this a front that was changed meanwhile may have dropped it for good. */
const STALLED_MS = 15_000;
const AGAIN: BackoffLimits = { minMs: 30_000, maxMs: 600_000 };

/** Decides when a front is to begin anew with certificates that do not come. Times are those of one steady clock, in ms. */
export class Stalls {
  readonly #since = new Map<string, number>();
  #times = 0;
  #notBefore = Number.NEGATIVE_INFINITY;

  /** Asked at every look, with the names that the front serves and has no certificate for. */
  due(waiting: ReadonlySet<string>, now: number, random: number): boolean {
    for (const host of this.#since.keys()) if (!waiting.has(host)) this.#since.delete(host);
    for (const host of waiting) if (!this.#since.has(host)) this.#since.set(host, now);
    const stalled = [...this.#since.values()].some((since) => now - since >= STALLED_MS);
    if (!stalled) {
      this.#times = 0;
      return false;
    }
    if (this.#times > 0 && now < this.#notBefore) return false;
    this.#times += 1;
    this.#notBefore = now + backoffMs(this.#times, AGAIN, random);
    return true;
  }
}
