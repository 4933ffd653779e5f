import type { Clock } from './clock.ts';

/** Callers who wait for their answers, and whom other work lets go first. */
export class Rush {
  readonly #clock: Pick<Clock, 'sleep'>;
  #waiting = 0;
  #over = new AbortController();

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock;
  }

  /** Whether somebody waits. */
  get isOn(): boolean {
    return this.#waiting > 0;
  }

  /** Somebody waits for this answer. */
  async for<T>(answer: Promise<T>): Promise<T> {
    this.#waiting += 1;
    try {
      return await answer;
    } finally {
      this.#waiting -= 1;
      if (!this.isOn) this.#end();
    }
  }

  /** Resolves when nobody waits, or after `ms`: it may never be over. */
  async over(ms: number): Promise<void> {
    if (this.isOn) await this.#clock.sleep(ms, this.#over.signal);
  }

  #end(): void {
    this.#over.abort();
    this.#over = new AbortController();
  }
}
