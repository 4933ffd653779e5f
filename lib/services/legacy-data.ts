import { posix } from 'node:path';
import type { BackupInfo, Trouble } from '../domain/agent.ts';
import type { KeptBot } from '../domain/backup.ts';
import { hasCode } from '../domain/errors.ts';
import type { DeploymentRef } from '../domain/migration.ts';
import type { ForeignHost } from '../drivers/foreign-host.ts';
import { innerPath, packInto, readTar, type TreeEntry, type TreeWriter } from '../util/tree.ts';
import type { LegacyLook } from './legacy-look.ts';

/** What a database's program would play back: without them its newest rows are missing. */
export const DATABASE_FILES = ['', '-wal', '-shm', '-journal'] as const;

/** A part of a deployment: where it is, and what it is called in the bot's directory. */
export interface Part {
  readonly old: string;
  readonly path: string;
}

/** Everything that comes along. A database outside of what is mounted is taken from the container itself. */
export function partsOf({ match, database }: LegacyLook): readonly Part[] {
  const parts = Object.entries(match.rule.paths).map(([path, old]) => ({ path, old }));
  if (database === null || parts.some(({ path }) => isWithin(database.path, path))) return parts;
  return [...parts, ...databaseParts(database)];
}

export function databaseParts({ old, path }: Part): readonly Part[] {
  return DATABASE_FILES.map((ending) => ({ old: old + ending, path: path + ending }));
}

export type Packed = BackupInfo;

/** Packs parts of a deployment into a new file, as a bot's directory is packed. A part that is not there is left out. */
export async function packParts(
  host: ForeignHost,
  ref: DeploymentRef,
  parts: readonly Part[],
  file: string,
): Promise<Packed> {
  const tally = { files: 0, unpackedBytes: 0, skipped: [] as Trouble[], skippedCount: 0 };
  const { bytes, sha256 } = await packInto(file, async (writer) => {
    for (const part of parts) await packPart(writer, host.readTree(ref, part.old), part, tally);
  });
  return { archive: '', bytes, sha256, ...tally, databases: 0, damaged: [], damagedCount: 0 };
}

/** What the bot is made of beside its data. */
export function contentOf(look: LegacyLook): Pick<KeptBot, 'files' | 'env' | 'args'> {
  const { configBytes, match, env, args } = look;
  return { files: { [match.rule.config.path]: (configBytes ?? Buffer.alloc(0)).toString('base64') }, env, args };
}

// Private

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

interface Tally {
  files: number;
  unpackedBytes: number;
  readonly skipped: Trouble[];
  skippedCount: number;
}

const MOST_TOLD = 20;

async function packPart(writer: TreeWriter, tree: AsyncIterable<Uint8Array>, part: Part, tally: Tally): Promise<void> {
  try {
    for await (const entry of readTar(tree)) await packEntry(writer, entry, part, tally);
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
}

/** As unpack.py takes them: files, directories, and links that stay inside. */
async function packEntry(writer: TreeWriter, { header, content }: TreeEntry, part: Part, tally: Tally): Promise<void> {
  const skip = (why: string): void => {
    tally.skippedCount += 1;
    if (tally.skipped.length < MOST_TOLD) tally.skipped.push({ path: header.name.slice(0, 200), why });
  };
  const name = renamed(header.name, part);
  const { mode, mtime } = header;
  if (name === null) return skip('its name leads out of the directory');
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      tally.files += 1;
      tally.unpackedBytes += header.size;
      return writer.add({ name, mode, mtime, size: header.size }, content);
    case 'directory':
      return writer.add({ name, mode, mtime, type: 'directory' });
    case 'symlink': {
      if (!staysInside(name, header.linkname)) return skip('a link that leads out of the directory');
      return writer.add({ name, mode, mtime, type: 'symlink', linkname: header.linkname });
    }
    case 'link': {
      const linkname = renamed(header.linkname, part);
      return linkname === null
        ? skip('a link that leads out')
        : writer.add({ name, mode, mtime, type: 'link', linkname });
    }
    default:
      return skip('neither a file, a directory nor a link');
  }
}

/** Names begin with the last part of the path they were asked for by. */
function renamed(name: string, { old, path }: Part): string | null {
  const inner = innerPath(name);
  const top = posix.basename(old);
  if (inner === top) return path;
  return inner?.startsWith(`${top}/`) ? path + inner.slice(top.length) : null;
}

function staysInside(name: string, target: string): boolean {
  return !target.startsWith('/') && innerPath(posix.join(posix.dirname(name), target)) !== null;
}
