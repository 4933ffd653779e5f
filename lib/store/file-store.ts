import { mkdir, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import { type Disk, systemDisk } from '../util/disk.ts';
import type { Logger } from '../util/logger.ts';
import { GroupCommit } from './group-commit.ts';
import { lockFile } from './lock.ts';
import { MIGRATIONS, type Migration } from './migrations.ts';
import { StateFiles } from './state-files.ts';
import type { Store } from './store.ts';
import { removeTemporaries } from './temporaries.ts';

export interface FileStoreOptions {
  /** Absolute. Its folder is made, for this user alone, when it is not there. */
  readonly path: string;
  /** Names the machine or engine that has the containers; without it, what is known of that is forgotten. */
  readonly home?: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly migrations?: ReadonlyMap<number, Migration>;
  readonly disk?: Disk;
}

/**
 * The store in one JSON file and its journals. Throws CONFLICT (naming the pid) while another process has it open
 * and when the state tells of containers elsewhere, STORE_CORRUPT for files that are not a valid state (they are left as they are), UNSUPPORTED for one of a newer version,
 * STORE_UNAVAILABLE when it can be neither read nor written.
 */
export async function openFileStore(options: FileStoreOptions): Promise<Store> {
  const { home = '', migrations = MIGRATIONS, disk = systemDisk } = options;
  const path = await prepare(options.path);
  const lock = await lockFile(`${path}.lock`, process.pid);
  try {
    await removeTemporaries(path);
    const files = await StateFiles.open({ ...options, path, home, migrations, disk }, lock);
    return new GroupCommit(files.state, files);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

// Private

/** The folder is private, the ones above it are passable: bots of other users have their directories beside it. */
async function prepare(path: string): Promise<string> {
  const folder = dirname(path);
  try {
    await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
    await mkdir(folder, { mode: 0o700 }).catch(ignoreExisting);
  } catch (error) {
    const message = `The folder of the state cannot be made: ${messageOf(error)}. See to the disk and the rights above ${folder}.`;
    throw new BunkhouseError('STORE_UNAVAILABLE', message, { cause: error });
  }
  // One file has one lock, by whatever links it is reached.
  return realpath(path).catch(async () => `${await realpath(folder)}/${path.slice(folder.length + 1)}`);
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}
