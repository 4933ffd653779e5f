import type { Clock } from '../util/clock.ts';
import type { Rush } from '../util/rush.ts';

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
  /** Those who ask for leases. */
  readonly #rush: Pick<Rush, 'isOn'>;
  #waiting = false;

  constructor(clock: Pick<Clock, 'after'>, rush: Pick<Rush, 'isOn'>, tell: () => void) {
    this.#clock = clock;
    this.#rush = rush;
    this.#tell = tell;
  }

  /** There is something to tell. */
  soon(rests = RESTS): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#clock.after(REST_MS, () => {
      this.#waiting = false;
      if (this.#rush.isOn && rests > 1) this.soon(rests - 1);
      else this.#tell();
    });
  }
}
