import { BunkhouseError } from '../domain/errors.ts';
import type { State } from '../domain/state.ts';
import type { Ledger } from './ledger.ts';
import type { Change, Store } from './store.ts';

interface Group {
  readonly durable: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A store over a ledger. Group commit: changes that come while a commit is under way share the next one. `#newest` has
 * all changes that were accepted; `#durable` all that are kept.
 */
export class GroupCommit implements Store {
  readonly #ledger: Ledger;
  #newest: State;
  #durable: State;
  /** Waits for the next commit; null: nothing does. */
  #next: Group | null = null;
  /** Resolves or rejects with the commit that carries the newest state. */
  #settled: Promise<void> = Promise.resolve();
  #committing: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  constructor(state: State, ledger: Ledger) {
    this.#newest = state;
    this.#durable = state;
    this.#ledger = ledger;
  }

  current(): State {
    return this.#newest;
  }

  async update<T>(change: Change<T>): Promise<T> {
    if (this.#closing !== null) {
      throw new BunkhouseError('STORE_UNAVAILABLE', 'The store is closed: Bunkhouse is stopping.');
    }
    const { state, result } = change(this.#newest);
    if (state !== this.#newest) {
      this.#newest = state;
      this.#settled = this.#joinNext();
    }
    // A change that changes nothing may rest on others that are not durable yet, so it waits for them as well.
    await this.#settled;
    return result;
  }

  settled(): Promise<void> {
    return this.#settled;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // Private

  async #close(): Promise<void> {
    await this.#committing;
    await this.#ledger.close(this.#durable);
  }

  #joinNext(): Promise<void> {
    this.#next ??= newGroup();
    const { durable } = this.#next;
    this.#committing ??= this.#commitAll();
    return durable;
  }

  async #commitAll(): Promise<void> {
    for (let group = this.#take(); group !== null; group = this.#take()) {
      const state = this.#newest;
      try {
        await this.#ledger.commit(this.#durable, state);
        this.#durable = state;
        group.resolve();
      } catch (error) {
        this.#rollBack(group, error);
      }
    }
    this.#committing = null;
  }

  #take(): Group | null {
    const group = this.#next;
    this.#next = null;
    return group;
  }

  /** What came during the failed commit was computed from a state that will never be, so it fails with it. */
  #rollBack(group: Group, error: unknown): void {
    this.#newest = this.#durable;
    this.#settled = Promise.resolve();
    group.reject(error);
    this.#take()?.reject(error);
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { durable: promise, resolve, reject };
}
