import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import type { State } from '../../domain/state.ts';
import type { Clock } from '../../util/clock.ts';
import type { Ledger } from '../ledger.ts';
import { diffState } from '../patch.ts';
import { type Connection, Refusal } from './connection.ts';
import { type CommitSteps, stepsOf } from './contents.ts';
import type { Lease } from './lease.ts';
import type { Keys } from './location.ts';
import { COMMIT } from './scripts.ts';

const RETRY_MS = 100;

export interface LedgerOptions {
  readonly connection: Connection;
  readonly lease: Lease;
  readonly keys: Keys;
  readonly clock: Clock;
  /** Id of the last commit; empty: there is none. */
  readonly last: string;
}

/**
 * Commits by one script each. A commit has an id that no other process and no other commit has, and names the one before it:
 * so one whose answer was lost is asked for again until the server says whether it happened, and never happens twice.
 */
export class ValkeyLedger implements Ledger {
  readonly #options: LedgerOptions;
  #last: string;
  #attempts = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#last = options.last;
  }

  commit(before: State, after: State): Promise<void> {
    return this.write(stepsOf(diffState(before, after), this.#options.keys));
  }

  /** Durable as far as the server is when it resolves. Throws STORE_UNAVAILABLE. */
  async write({ keys, steps }: CommitSteps): Promise<void> {
    const { lease, keys: ours } = this.#options;
    this.#attempts += 1;
    const id = `${lease.owner} #${this.#attempts}`;
    const answer = await this.#resolve([ours.fence, ours.meta, ...keys], [lease.owner, this.#last, id, ...steps]);
    if (answer === 'OK') this.#last = id;
    else if (answer === 'FENCED') throw lease.lose('another process has taken over');
    else throw lease.lose('the server lost commits that it had kept, or somebody else writes under this prefix');
  }

  async close(): Promise<void> {
    await this.#options.lease.release();
    this.#options.connection.close();
  }

  // Private

  /** Asks until there is an answer; for the last time after the lease has run out, which the fence makes harmless. */
  async #resolve(keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const { connection, lease, clock } = this.#options;
    for (;;) {
      lease.check();
      const { isHeld } = lease;
      try {
        return await connection.run(COMMIT, keys, args);
      } catch (error) {
        if (error instanceof Refusal) throw refused(error);
        if (!isHeld) throw lease.lose(`whether a change was kept is not known (${messageOf(error)})`);
        await clock.sleep(RETRY_MS);
      }
    }
  }
}

// Private

function refused(error: Refusal): BunkhouseError {
  const message = `The state could not be written: the server says ${error.message}. Nothing was changed; see to the server and try again.`;
  return new BunkhouseError('STORE_UNAVAILABLE', message, { cause: error, retryAfterSeconds: 5 });
}
