import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { type Disk, type DiskFile, systemDisk } from './disk.ts';

/** A file's content, whole or in pieces that are made while it is written. */
export type Content = string | Uint8Array | Iterable<string>;

/**
 * Replaces a file as a whole (mode 0600): afterwards it holds either the old content or the new, also after a power cut,
 * and the new one for sure when this resolves. A temporary name of its own per write keeps two writers apart. Resolves
 * to the number of bytes written.
 */
export async function writeDurably(path: string, content: Content, disk: Disk = systemDisk): Promise<number> {
  const temporary = `${path}.tmp-${randomBytes(6).toString('hex')}`;
  let size: number;
  try {
    const file = await disk.create(temporary);
    try {
      size = await writeAll(file, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(temporary, path);
  } catch (error) {
    await disk.remove(temporary).catch(() => {});
    throw error;
  }
  await disk.syncFolder(dirname(path));
  return size;
}

/** Makes new names in it durable: they are entries of the folder, which has a cache of its own. */
export function syncFolder(folder: string): Promise<void> {
  return systemDisk.syncFolder(folder);
}

// Private

async function writeAll(file: DiskFile, content: Content): Promise<number> {
  const pieces = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
  let size = 0;
  for (const piece of pieces) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    await file.write(bytes, size);
    size += bytes.length;
  }
  return size;
}
