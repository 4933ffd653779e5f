import type { ContainerObservation } from '../domain/container.ts';
import { messageOf } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import type { Driver } from './driver.ts';

export type Outlook =
  | { readonly kind: 'seen'; readonly containers: readonly ContainerObservation[] }
  | { readonly kind: 'blind'; readonly reason: string };

/**
 * Lists the containers of one endpoint beside others. One that is slow is waited for once: while its answer is still to
 * come nobody waits again, and the answer is what the next look gets.
 */
export class Lookout {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #patienceMs: number | null;
  #asking = false;
  #late: Outlook | null = null;
  #last: Outlook | null = null;

  /** `patienceMs`: how long a listing may take before it is left behind; null: there is nothing to go on with. */
  constructor(driver: Driver, clock: Clock, patienceMs: number | null) {
    this.#driver = driver;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** Why nothing was seen the last time; null: all was, or nobody has looked yet. */
  get blindness(): string | null {
    return this.#last?.kind === 'blind' ? this.#last.reason : null;
  }

  async look(): Promise<Outlook> {
    this.#last = await this.#next();
    return this.#last;
  }

  // Private

  #next(): Promise<Outlook> | Outlook {
    const late = this.#late;
    this.#late = null;
    if (late !== null) return late;
    if (this.#patienceMs === null) return this.#ask();
    return this.#asking ? tooSlow(this.#patienceMs) : this.#askPatiently(this.#patienceMs);
  }

  async #askPatiently(patienceMs: number): Promise<Outlook> {
    const patience = new AbortController();
    let left = false;
    this.#asking = true;
    const answer = this.#ask().then((outlook) => {
      this.#asking = false;
      if (left) this.#late = outlook;
      return outlook;
    });
    const enough = this.#clock.sleep(patienceMs, patience.signal).then(() => tooSlow(patienceMs));
    const outlook = await Promise.race([answer, enough]);
    left = this.#asking;
    patience.abort();
    return outlook;
  }

  async #ask(): Promise<Outlook> {
    try {
      return { kind: 'seen', containers: await this.#driver.list() };
    } catch (error) {
      return { kind: 'blind', reason: messageOf(error) };
    }
  }
}

function tooSlow(patienceMs: number): Outlook {
  return { kind: 'blind', reason: `it has not answered for ${patienceMs / 1000} s` };
}
