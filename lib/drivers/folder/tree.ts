import { constants, lstat, open, opendir, readlink, realpath, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BunkhouseError } from '../../domain/errors.ts';
import { innerPath, readTar, type TreeWriter, tarOf } from '../../util/tree.ts';

/** Files are a tenant's: no link of theirs is followed, wherever in the way it is. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A tar archive of what is there. Throws NOT_FOUND, and INVALID where a link leads there. */
export async function* readTree(path: string): AsyncGenerator<Uint8Array> {
  await assertStraight(path);
  yield* tarOf((writer) => addTree(writer, path, basename(path)));
}

/** Unpacks plain files of a tar archive in a folder; each takes the place of another in one step. */
export async function writeTree(folder: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
  await assertStraight(folder);
  for await (const { header, content } of readTar(archive)) {
    const name = innerPath(header.name);
    if (name === null || name.includes('/') || header.type !== 'file')
      throw new BunkhouseError('INVALID', `${header.name} is no plain file for ${folder}`);
    const part = join(folder, `.${name}.bunkhouse-part`);
    await rm(part, { force: true });
    try {
      const file = await open(part, 'wx', 0o600);
      try {
        for await (const chunk of content) await file.writeFile(chunk);
        // Of what is open, never of what lies under its name by now.
        if (process.getuid?.() === 0) await file.chown(header.uid, header.gid);
        await file.chmod(header.mode & 0o777);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, join(folder, name));
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }
}

// Private

async function assertStraight(path: string): Promise<void> {
  const real = await realpath(path).catch((error: NodeJS.ErrnoException) => {
    throw new BunkhouseError('NOT_FOUND', `${path} cannot be read (${error.code})`);
  });
  if (real !== path) throw new BunkhouseError('INVALID', `${path} leads through a link to ${real}; name that one`);
}

async function addTree(writer: TreeWriter, path: string, name: string): Promise<void> {
  const found = await lstat(path);
  const header = { name, mode: found.mode & 0o7777, uid: found.uid, gid: found.gid, mtime: found.mtime };
  if (found.isFile()) {
    const file = await open(path, READ);
    try {
      const { size } = await file.stat();
      const content = size === 0 ? undefined : file.createReadStream({ autoClose: false, end: size - 1 });
      await writer.add({ ...header, size }, content);
    } finally {
      await file.close();
    }
  } else if (found.isSymbolicLink()) {
    await writer.add({ ...header, type: 'symlink', linkname: await readlink(path) });
  } else if (found.isDirectory()) {
    await writer.add({ ...header, type: 'directory' });
    for await (const entry of await opendir(path))
      await addTree(writer, join(path, entry.name), `${name}/${entry.name}`);
  }
}
