import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes of a file, or of all files below a folder, without following links; null when it cannot be read. */
export async function treeBytes(path: string): Promise<number | null> {
  try {
    return await bytesOf(path);
  } catch {
    return null;
  }
}

// Private

async function bytesOf(path: string): Promise<number> {
  const found = await lstat(path);
  if (!found.isDirectory()) return found.isFile() ? found.size : 0;
  let bytes = 0;
  for await (const { name } of await opendir(path)) bytes += await bytesOf(join(path, name));
  return bytes;
}
