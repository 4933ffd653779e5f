import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { Low } from 'lowdb';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { emptyState, type State } from '../domain/state.ts';
import { Journal } from './journal.ts';
import { firstPosition } from './journal-line.ts';
import { listJournals } from './journal-names.ts';
import type { Ledger } from './ledger.ts';
import type { FileLock } from './lock.ts';
import { diffState } from './patch.ts';
import { type Snapshot, StateFile, type StateFileOptions } from './state-file.ts';

const LEAST_JOURNAL = 2 ** 20;

/**
 * The state file and its journals. A commit is a line in the newest journal. When that has outgrown the state file, a new
 * journal is begun, the state file is written anew beside the commits that go on, and then the older journals are removed:
 * at every moment the file and the journals that are there make up the whole state.
 */
export class StateFiles implements Ledger {
  readonly #options: StateFileOptions;
  readonly #lock: FileLock;
  readonly #adapter: StateFile;
  readonly #db: Low<Snapshot>;
  #journal: Journal;
  /** Length at which the journal makes room for a new one. */
  #limit: number;
  #rotating: Promise<void> = Promise.resolve();
  /** The state file being written. */
  #replacing: Promise<void> | null = null;
  #failed = false;

  /** Reads what is there and writes it anew: that proves that writing works, and makes a migration durable. */
  static async open(options: StateFileOptions, lock: FileLock): Promise<StateFiles> {
    const adapter = new StateFile(options);
    const state = emptyState(randomUUID());
    const db = new Low<Snapshot>(adapter, { state, position: firstPosition(state.installation) });
    await db.read();
    try {
      await db.write();
      await removeJournals(await listJournals(options.path), options);
      const header = { installation: db.data.state.installation, ...db.data.position };
      const journal = await Journal.create(options.path, header, options.disk);
      await adapter.keepCopy();
      return new StateFiles(options, lock, { adapter, db, journal });
    } catch (error) {
      throw unwritable(options.path, error, NOTHING_CHANGED);
    }
  }

  private constructor(
    options: StateFileOptions,
    lock: FileLock,
    { adapter, db, journal }: { adapter: StateFile; db: Low<Snapshot>; journal: Journal },
  ) {
    this.#options = options;
    this.#lock = lock;
    this.#adapter = adapter;
    this.#db = db;
    this.#journal = journal;
    this.#limit = Math.max(LEAST_JOURNAL, adapter.size);
  }

  /** What was read. */
  get state(): State {
    return this.#db.data.state;
  }

  async commit(before: State, after: State): Promise<void> {
    await this.#rotating;
    try {
      if (this.#failed) await this.#mend(before);
      this.#failed = true;
      await this.#journal.append(diffState(before, after));
      this.#failed = false;
    } catch (error) {
      throw unwritable(this.#options.path, error, this.#journal.littered ? PERHAPS_CHANGED : NOTHING_CHANGED);
    }
    // Not waited for by this commit, which is done.
    if (this.#isDue()) this.#rotating = this.#rotate(after);
  }

  /** Leaves the state file alone behind. When that cannot be done, the journals stay, and the next opener reads them. */
  async close(state: State): Promise<void> {
    await this.#rotating;
    await this.#replacing;
    try {
      const { position } = this.#journal;
      if (position.sequence > this.#db.data.position.sequence) await this.#replace({ state, position });
      await removeJournals(await listJournals(this.#options.path), this.#options);
    } catch (error) {
      this.#warn('could not write the state file while closing; its journals hold the rest', error);
    }
    await this.#journal.close();
    await this.#lock.release();
  }

  // Private

  /** After a failure: a journal that is still there goes on. One that was taken away is replaced, from memory. */
  async #mend(state: State): Promise<void> {
    if (await this.#journal.inPlace()) return;
    await this.#replacing;
    await this.#replace({ state, position: this.#journal.position });
    await this.#changeJournal();
  }

  #isDue(): boolean {
    return this.#replacing === null && (this.#journal.length > this.#limit || this.#adapter.copies.due);
  }

  /** Resolves when there is a new journal, or the old one goes on because there can be none. */
  async #rotate(state: State): Promise<void> {
    const copy = this.#adapter.copies.due;
    if (copy) this.#adapter.copies.postpone();
    try {
      await this.#changeJournal();
    } catch (error) {
      this.#postpone('could not begin a new journal; the old one goes on', error);
      return;
    }
    const { path, position } = this.#journal;
    this.#replacing = this.#replaceBehind({ state, position }, path, copy).finally(() => {
      this.#replacing = null;
    });
  }

  async #changeJournal(): Promise<void> {
    const old = this.#journal;
    const { installation } = this.#db.data.state;
    const header = { installation, ...old.position };
    this.#journal = await Journal.create(this.#options.path, header, this.#options.disk);
    await old.close().catch(() => {});
  }

  /** The snapshot is what the named journal began with, so older ones are not needed after it. */
  async #replaceBehind(snapshot: Snapshot, journal: string, copy: boolean): Promise<void> {
    try {
      await this.#replace(snapshot);
      const older = (await listJournals(this.#options.path)).filter((path) => path < journal);
      await removeJournals(older, this.#options);
      this.#limit = Math.max(LEAST_JOURNAL, this.#adapter.size);
      if (copy) await this.#adapter.keepCopy();
    } catch (error) {
      this.#postpone('could not write the state file; its journals hold the rest', error);
    }
  }

  async #replace(snapshot: Snapshot): Promise<void> {
    // In a folder that was moved or emptied, somebody else may have begun since.
    if (!(await this.#lock.held())) throw new Error(`the folder of ${this.#options.path} was moved or emptied`);
    this.#db.data = snapshot;
    await this.#db.write();
  }

  #postpone(what: string, error: unknown): void {
    this.#limit = this.#journal.length + LEAST_JOURNAL;
    this.#warn(what, error);
  }

  #warn(what: string, error: unknown): void {
    this.#options.log.warn({ path: this.#options.path, error: messageOf(error) }, what);
  }
}

const NOTHING_CHANGED = 'Nothing was changed; see to the disk and try again.';
const PERHAPS_CHANGED = 'Whether it was kept shows at the next start; see to the disk.';

function unwritable(path: string, error: unknown, next: string): BunkhouseError {
  const message = `The state could not be written to ${path}: ${messageOf(error)}. ${next}`;
  return new BunkhouseError('STORE_UNAVAILABLE', message, { cause: error, retryAfterSeconds: 5 });
}

/** Oldest first, each for good before the next: what is left is always the end of the chain. */
async function removeJournals(journals: readonly string[], { disk }: StateFileOptions): Promise<void> {
  for (const journal of journals) {
    await disk.remove(journal);
    await disk.syncFolder(dirname(journal));
  }
}
