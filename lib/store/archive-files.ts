import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { type Clock, isoTime } from '../util/clock.ts';
import { syncFolder } from '../util/durable-write.ts';
import type { ArchiveStore } from './store.ts';

/** Archives as files `<bot>-<time>.tar.gz` in one folder, mode 0600: they hold trades and keys. */
export function createArchiveFiles(folder: string, clock: Clock): ArchiveStore {
  let cleaned: Promise<void> | null = null;
  return {
    async save(bot, chunks, sha256) {
      const stamp = isoTime(clock.now()).replaceAll(/[:.]/g, '-');
      const name = `${bot}-${stamp}-${randomBytes(3).toString('hex')}.tar.gz`;
      const part = join(folder, `.${name}.part`);
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        cleaned ??= removeParts(folder).catch(() => {});
        await cleaned;
        await writeChecked(part, chunks, sha256);
        await rename(part, join(folder, name));
        await syncFolder(folder);
        return name;
      } catch (error) {
        await rm(part, { force: true });
        throw new BunkhouseError(
          'STORE_UNAVAILABLE',
          `the archive of ${bot} could not be kept in ${folder}: ${messageOf(error)}`,
          {
            cause: error,
          },
        );
      }
    },
  };
}

// Private

async function writeChecked(path: string, chunks: AsyncIterable<Uint8Array>, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (hash.digest('hex') !== sha256) throw new Error('what arrived is not what was packed (SHA-256 differs)');
}

/** What a killed supervisor was still writing: nobody goes on with it. Only before the first save of this one. */
async function removeParts(folder: string): Promise<void> {
  const parts = (await readdir(folder)).filter((name) => name.startsWith('.') && name.endsWith('.part'));
  await Promise.all(parts.map((name) => rm(join(folder, name), { force: true })));
}
