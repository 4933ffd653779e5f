import type { Clock } from '../util/clock.ts';

/** How long a bot may not know of its lease yet: so many times so long at the most. */
const REST_MS = 25;
const RESTS = 20;

/**
 * When to ask for the pass that tells bots of their leases. Their holders have them already, while a pass over thousands of
 * bots would hold up others who wait for an answer: so it waits a little, for them too.
 */
export class LeaseTeller {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #tell: () => void;
  /** Requests that are not answered yet. */
  #underway = 0;
  #waiting = false;

  constructor(clock: Pick<Clock, 'after'>, tell: () => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Somebody waits for this answer. */
  async after<T>(answer: Promise<T>): Promise<T> {
    this.#underway += 1;
    try {
      return await answer;
    } finally {
      this.#underway -= 1;
    }
  }

  /** There is something to tell. */
  soon(rests = RESTS): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#clock.after(REST_MS, () => {
      this.#waiting = false;
      if (this.#underway > 0 && rests > 1) this.soon(rests - 1);
      else this.#tell();
    });
  }
}
