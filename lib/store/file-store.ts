import { randomUUID } from 'node:crypto';
import { mkdir, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Low } from 'lowdb';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { emptyState, type State } from '../domain/state.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import { type FileLock, lockFile } from './lock.ts';
import { MIGRATIONS, type Migration } from './migrations.ts';
import { StateFile } from './state-file.ts';
import type { Change, Store } from './store.ts';
import { removeTemporaries } from './temporaries.ts';

export interface FileStoreOptions {
  /** Absolute. Its folder is made, for this user alone, when it is not there. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly migrations?: ReadonlyMap<number, Migration>;
}

/**
 * The store in one JSON file. Throws CONFLICT (naming the pid) while another process has it open, STORE_CORRUPT for a
 * file that is not a valid state (it is left as it is), UNSUPPORTED for one of a newer version, STORE_UNAVAILABLE when
 * it can be neither read nor written.
 */
export async function openFileStore({ path, clock, log, migrations = MIGRATIONS }: FileStoreOptions): Promise<Store> {
  const file = await prepare(path);
  const lock = await lockFile(`${file}.lock`, process.pid);
  try {
    await removeTemporaries(file);
    const adapter = new StateFile({ path: file, clock, log, migrations });
    const db = new Low<State>(adapter, emptyState(randomUUID()));
    await db.read();
    // Also for a file just read: it proves that writing works, and makes a migration durable.
    await db.write().catch((error: unknown) => Promise.reject(unwritable(file, error)));
    return new FileStore(file, db, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

// Private

interface Group {
  readonly durable: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: changes that come while a write is under way share the next one. `db.data` is the newest state, with all
 * changes that were accepted; `#durable` the newest that is safe on disk.
 */
class FileStore implements Store {
  readonly #path: string;
  readonly #db: Low<State>;
  readonly #lock: FileLock;
  #durable: State;
  /** Waits for the next write; null: nothing does. */
  #next: Group | null = null;
  /** Resolves or rejects with the write that carries the newest state. */
  #newest: Promise<void> = Promise.resolve();
  #writing: Promise<void> | null = null;
  #closed = false;

  constructor(path: string, db: Low<State>, lock: FileLock) {
    this.#path = path;
    this.#db = db;
    this.#lock = lock;
    this.#durable = db.data;
  }

  current(): State {
    return this.#db.data;
  }

  async update<T>(change: Change<T>): Promise<T> {
    if (this.#closed) throw new BunkhouseError('STORE_UNAVAILABLE', 'The store is closed: Bunkhouse is stopping.');
    const { state, result } = change(this.#db.data);
    if (state !== this.#db.data) {
      this.#db.data = state;
      this.#newest = this.#joinNext();
    }
    // A change that changes nothing may rest on others that are not durable yet, so it waits for them as well.
    await this.#newest;
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#lock.release();
  }

  // Private

  #joinNext(): Promise<void> {
    this.#next ??= newGroup();
    const { durable } = this.#next;
    this.#writing ??= this.#writeAll();
    return durable;
  }

  async #writeAll(): Promise<void> {
    for (let group = this.#take(); group !== null; group = this.#take()) {
      const state = this.#db.data;
      try {
        await this.#db.write();
        this.#durable = state;
        group.resolve();
      } catch (error) {
        this.#rollBack(group, unwritable(this.#path, error));
      }
    }
    this.#writing = null;
  }

  #take(): Group | null {
    const group = this.#next;
    this.#next = null;
    return group;
  }

  /** What came during the failed write was computed from a state that will never be, so it fails with it. */
  #rollBack(group: Group, error: BunkhouseError): void {
    this.#db.data = this.#durable;
    this.#newest = Promise.resolve();
    group.reject(error);
    this.#take()?.reject(error);
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { durable: promise, resolve, reject };
}

function unwritable(path: string, error: unknown): BunkhouseError {
  const next = 'Nothing was changed; see to the disk and try again.';
  return new BunkhouseError(
    'STORE_UNAVAILABLE',
    `The state could not be written to ${path}: ${messageOf(error)}. ${next}`,
    {
      cause: error,
      retryAfterSeconds: 5,
    },
  );
}

/** The folder is private, the ones above it are passable: bots of other users have their directories beside it. */
async function prepare(path: string): Promise<string> {
  const folder = dirname(path);
  try {
    await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
    await mkdir(folder, { mode: 0o700 }).catch(ignoreExisting);
  } catch (error) {
    throw unwritable(path, error);
  }
  // One file has one lock, by whatever links it is reached.
  return realpath(path).catch(async () => `${await realpath(folder)}/${path.slice(folder.length + 1)}`);
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}
