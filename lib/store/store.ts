import type { State } from '../domain/state.ts';

/** A pure change of the state and its result. May be run again, so it has no side effects; it throws to change nothing. */
export type Change<T> = (state: State) => { readonly state: State; readonly result: T };

/** Keeps the state. All changes go through `update`, one after the other: compare and set in one step. */
export interface Store {
  /** The newest state; also changes whose `update` has not resolved yet. Never mutated. */
  current(): State;
  /** Resolves once the change is durable. Throws what the change throws, or STORE_UNAVAILABLE (then `current` is as before). */
  update<T>(change: Change<T>): Promise<T>;
  /** Resolves once all of `current` is durable. Throws when some of it never will be. */
  settled(): Promise<void>;
  /** Waits for what is under way and releases the file. */
  close(): Promise<void>;
}
