import { setImmediate as others } from 'node:timers/promises';
import type { Clock } from './clock.ts';

/** Nobody notices that somebody else had their turn for so long. */
const SHORT_MS = 2;

/** Work in parts, between which whoever waits for an answer gets it. */
export class Turns {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #began: number;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
    this.#began = clock.monotonic();
  }

  /** Lets others have their turn, if ours was not short. What was looked at before may be another afterwards. */
  async share(): Promise<void> {
    if (this.#clock.monotonic() - this.#began < SHORT_MS) return;
    await others();
    this.#began = this.#clock.monotonic();
  }
}
