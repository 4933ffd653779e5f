import type { Agent, Driver } from '../drivers/driver.ts';

/** Connections to the containers' supervisords, made when first needed and dropped when they fail. */
export class Agents {
  readonly #driver: Driver;
  readonly #open = new Map<string, Promise<Agent>>();

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  get(container: string): Promise<Agent> {
    const known = this.#open.get(container);
    if (known !== undefined) return known;
    const opening = this.#driver.connect(container);
    this.#open.set(container, opening);
    opening.catch(() => this.#forget(container, opening));
    return opening;
  }

  /** The next `get` connects anew: a container that was rebuilt may have another address and password. */
  drop(container: string): void {
    const known = this.#open.get(container);
    if (known === undefined) return;
    this.#open.delete(container);
    known.then((agent) => agent.close()).catch(() => {});
  }

  async close(): Promise<void> {
    for (const container of [...this.#open.keys()]) this.drop(container);
  }

  #forget(container: string, opening: Promise<Agent>): void {
    if (this.#open.get(container) === opening) this.#open.delete(container);
  }
}
