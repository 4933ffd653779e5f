import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BunkhouseError } from '../../domain/errors.ts';
import { writeDurably } from '../../util/durable-write.ts';
import type { Contents } from './contents.ts';

/**
 * A file on this machine that holds the id of the installation found on the server. A server that comes up empty would
 * otherwise be taken for a new installation, and every bot forgotten while it runs.
 */
export async function checkMarker(path: string, contents: Contents | null): Promise<void> {
  const known = await read(path);
  if (known === null || known === contents?.document.installation) return;
  const found =
    contents === null ? 'it is gone, although it was there before' : 'it is the one of another installation';
  throw new BunkhouseError(
    'STORE_CORRUPT',
    `${found} (this machine knows ${known} by ${path}; remove that file to go on)`,
  );
}

export async function leaveMarker(path: string, installation: string): Promise<void> {
  if ((await read(path)) === installation) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeDurably(path, installation);
}

// Private

function read(path: string): Promise<string | null> {
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    (error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    },
  );
}
