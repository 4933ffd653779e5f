import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Removes what killed writers of a file and its copies have left. Only under the lock: a living writer's file looks the same. */
export async function removeTemporaries(path: string): Promise<void> {
  const folder = dirname(path);
  const left = (await readdir(folder)).filter(
    (name) => name.startsWith(`${basename(path)}.`) && /\.tmp-[0-9a-f]{12}$/.test(name),
  );
  await Promise.all(left.map((name) => rm(join(folder, name), { force: true })));
}
