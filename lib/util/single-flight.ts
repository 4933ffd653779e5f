/**
 * Runs one job at a time and folds requests that come meanwhile into one more run. A caller's promise resolves after a
 * run that *began* after its request, so it is sure to have seen what the caller changed before. It may rest before a run,
 * so that many requests end up in one and others get their turn.
 */
export class SingleFlight {
  readonly #job: () => Promise<void>;
  readonly #rest: () => Promise<void> | null;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  /** `rest` is asked when a run might begin; null: at once. */
  constructor(job: () => Promise<void>, rest: () => Promise<void> | null = () => null) {
    this.#job = job;
    this.#rest = rest;
  }

  run(): Promise<void> {
    if (this.#next !== null) return this.#next;
    const rest = this.#running === null ? this.#rest() : this.#running.catch(() => {}).then(() => this.#rest());
    if (rest === null) return this.#begin();
    this.#next = rest.then(() => {
      this.#next = null;
      return this.#begin();
    });
    return this.#next;
  }

  /** Whether a run is under way or waiting. */
  get active(): boolean {
    return this.#running !== null || this.#next !== null;
  }

  /** Resolves when nothing is running or waiting. */
  async idle(): Promise<void> {
    while (this.active) await (this.#next ?? this.#running)?.catch(() => {});
  }

  #begin(): Promise<void> {
    const run = this.#job().finally(() => {
      if (this.#running === run) this.#running = null;
    });
    this.#running = run;
    return run;
  }
}
