import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';

/**
 * The operations that change a file system, as an argument, so that a test can cut the power at each of them. Nothing is
 * safe before it is synced: the content of a file by the file, its name by the folder.
 */
export interface Disk {
  /** A new file, for this user alone. Throws EEXIST. */
  create(path: string): Promise<DiskFile>;
  /** A file that is there, for writing. */
  open(path: string): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  /** Also when there is nothing. */
  remove(path: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
}

export interface DiskFile {
  /** Writes all of it at the position, or throws when some of it may be there. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  /** Whether its path still leads to it. */
  inPlace(): Promise<boolean>;
  close(): Promise<void>;
}

export const systemDisk: Disk = {
  create: async (path) => fileOf(path, await open(path, 'wx', 0o600)),
  open: async (path) => fileOf(path, await open(path, 'r+')),
  rename,
  remove: (path) => rm(path, { force: true }),
  async syncFolder(folder) {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

/** Whether the path leads to the open file: it was neither removed, nor replaced, nor moved away. */
export async function leadsTo(path: string, file: FileHandle): Promise<boolean> {
  const [there, ours] = await Promise.all([stat(path).catch(() => null), file.stat()]);
  return there !== null && there.ino === ours.ino && there.dev === ours.dev;
}

// Private

function fileOf(path: string, handle: FileHandle): DiskFile {
  return {
    async write(bytes, position) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    },
    truncate: (length) => handle.truncate(length),
    // The length of a file is synced with its data; of its times nobody asks.
    sync: () => handle.datasync(),
    inPlace: () => leadsTo(path, handle),
    close: () => handle.close(),
  };
}
