import type { State } from '../domain/state.ts';

/** Where committed states are kept. One commit at a time; the next begins when the last one has ended. */
export interface Ledger {
  /** Durable when it resolves. When it throws, what is kept is `before`. */
  commit(before: State, after: State): Promise<void>;
  /** `state` is what was committed last. */
  close(state: State): Promise<void>;
}
