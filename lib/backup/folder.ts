import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { syncFolder } from '../util/durable-write.ts';
import { mapLimited } from '../util/limit.ts';
import type { Vault, VaultContent, VaultFile } from './vault.ts';

const LOOKS_AT_ONCE = 64;

/** Files of one folder, mode 0600: they hold trades and keys. The folder is made when it is first written to. */
export function createFolderVault(folder: string): Vault {
  let cleaned: Promise<void> | null = null;
  const prepare = async (): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    cleaned ??= removeParts(folder).catch(() => {});
    await cleaned;
  };
  return {
    place: folder,
    list: () => orUnavailable(folder, 'list', listFiles(folder)),
    write: (name, content) =>
      orUnavailable(
        folder,
        `keep ${name} in`,
        prepare().then(() => write(folder, name, content)),
      ),
    read: (name) => read(folder, name),
    remove: (name) => orUnavailable(folder, `remove ${name} from`, remove(folder, name)),
    close: () => {},
  };
}

// Private

async function write(folder: string, name: string, content: VaultContent): Promise<void> {
  const part = join(folder, `.${name}.${randomBytes(4).toString('hex')}.part`);
  try {
    const file = await open(part, 'wx', 0o600);
    try {
      await fill(file, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, join(folder, name));
    await syncFolder(folder);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function fill(file: FileHandle, { bytes, chunks }: VaultContent): Promise<void> {
  let written = 0;
  for await (const chunk of chunks) {
    await file.writeFile(chunk);
    written += chunk.length;
  }
  if (written !== bytes) throw new Error(`${written} bytes came instead of ${bytes}`);
}

async function* read(folder: string, name: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(join(folder, name), { highWaterMark: 1 << 18 });
  } catch (error) {
    if (isAbsent(error)) throw new BunkhouseError('NOT_FOUND', `there is no ${name} in ${folder}`);
    throw unavailable(folder, `read ${name} of`, error);
  }
}

/** Entries that are not ours to list, such as files half written, begin with a dot. */
async function listFiles(folder: string): Promise<VaultFile[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw error;
  });
  const shown = names.filter((name) => !name.startsWith('.'));
  const files = await mapLimited(shown, LOOKS_AT_ONCE, (name) => look(folder, name));
  return files.filter((file) => file !== null);
}

async function look(folder: string, name: string): Promise<VaultFile | null> {
  try {
    const found = await stat(join(folder, name));
    return found.isFile() ? { name, bytes: found.size } : null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

async function remove(folder: string, name: string): Promise<void> {
  await rm(join(folder, name), { force: true });
  await syncFolder(folder).catch((error: unknown) => {
    if (!isAbsent(error)) throw error;
  });
}

/** What a killed supervisor was still writing: nobody goes on with it. Only before the first write of this one. */
async function removeParts(folder: string): Promise<void> {
  const parts = (await readdir(folder)).filter((name) => name.startsWith('.') && name.endsWith('.part'));
  await Promise.all(parts.map((name) => rm(join(folder, name), { force: true })));
}

const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

async function orUnavailable<T>(folder: string, what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw unavailable(folder, what, error);
  }
}

function unavailable(folder: string, what: string, cause: unknown): BunkhouseError {
  return new BunkhouseError('STORE_UNAVAILABLE', `cannot ${what} ${folder}: ${messageOf(cause)}`, { cause });
}
