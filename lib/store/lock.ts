import { spawn } from 'node:child_process';
import { type FileHandle, open } from 'node:fs/promises';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { leadsTo } from '../util/disk.ts';

/** Held until `release` or the end of the process, however it ends. */
export interface FileLock {
  /** Whether the path still leads to the file that is locked. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Takes the lock of a file or throws CONFLICT naming the process that holds it.
 *
 * It is the kernel's `flock`, which belongs to the open file and not to a process: the helper program locks the
 * descriptor it inherits from us and ends; the lock stays for as long as ours is open. So it is taken in one step, a
 * `kill -9` frees it at once, no stale file has to be judged, and no pid can be mistaken for another. Node opens
 * files close-on-exec, so no child of ours keeps it either. The file itself is never removed: a lock on a removed file
 * is worth nothing. Its content, the holder's pid, is only there to be named.
 */
export async function lockFile(path: string, pid: number): Promise<FileLock> {
  const file = await open(path, 'a+', 0o600);
  try {
    if (!(await lockDescriptor(file))) throw await conflict(file, path);
    await file.truncate(0);
    await file.write(`${pid}\n`);
    return { held: () => leadsTo(path, file), release: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

// Private

/** False: somebody else holds it. */
function lockDescriptor(file: FileHandle): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const helper = spawn('flock', ['-x', '-n', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', file.fd],
    });
    helper.once('error', (error) => reject(unavailable(messageOf(error))));
    helper.once('close', (code) => {
      if (code === 0 || code === 1) resolve(code === 0);
      else reject(unavailable(`exit code ${code}`));
    });
  });
}

function unavailable(why: string): BunkhouseError {
  const next = 'Install util-linux and see that the file system knows locks.';
  return new BunkhouseError(
    'STORE_UNAVAILABLE',
    `The state file cannot be locked with the program flock: ${why}. ${next}`,
  );
}

async function conflict(file: FileHandle, path: string): Promise<BunkhouseError> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(32), position: 0 });
  const pid = buffer.toString('utf8', 0, bytesRead).trim();
  const holder = /^\d+$/.test(pid) ? `The process with pid ${pid}` : 'Another process';
  return new BunkhouseError(
    'CONFLICT',
    `${holder} uses this state already (it holds ${path}). Stop it first, or give this one a DATA_DIR of its own.`,
    { details: { pid: /^\d+$/.test(pid) ? Number(pid) : null } },
  );
}
