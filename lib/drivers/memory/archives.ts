import { gunzipSync, gzipSync } from 'node:zlib';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import { FILE_PATH } from '../../domain/ids.ts';
import { packTar, unpackTar } from '../docker/tar.ts';

/** A make-believe directory, by path. */
export type Files = Map<string, { mode: number; data: Buffer }>;

export function packFiles(files: Files): Buffer {
  return gzipSync(packTar([...files].map(([path, file]) => ({ path: `./${path}`, ...file }))));
}

/** Throws INVALID for what `packFiles` does not make, and for what is larger unpacked. */
export function unpackFiles(archive: Uint8Array, maxBytes: number): Files {
  const entries = unpacked(archive, maxBytes).map(({ path, mode, data }) => ({
    path: path.replace(/^\.\//, ''),
    mode,
    data: Buffer.from(data),
  }));
  const wrong = entries.find(({ path }) => !FILE_PATH.test(path));
  if (wrong !== undefined) throw refused(`${JSON.stringify(wrong.path)} leads out of the directory`);
  if (entries.reduce((sum, { data }) => sum + data.length, 0) > maxBytes) throw refused('unpacked it is too large');
  return new Map(entries.map(({ path, ...file }) => [path, file]));
}

// Private

function unpacked(archive: Uint8Array, maxBytes: number): ReturnType<typeof unpackTar> {
  try {
    // Headers and padding come on top.
    return unpackTar(gunzipSync(archive, { maxOutputLength: 2 * maxBytes + (1 << 20) }));
  } catch (error) {
    throw refused(messageOf(error));
  }
}

function refused(why: string): BunkhouseError {
  return new BunkhouseError('INVALID', `the archive is refused: ${why}`);
}
