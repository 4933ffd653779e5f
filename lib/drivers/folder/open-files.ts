import { lstat, opendir, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Pids of processes that have a file open in the folder, or work in it; null when that cannot be told, because only root sees
 * what other users' processes have open. Files are known by their numbers: in a container they go by other paths.
 */
export async function usersOf(folder: string): Promise<readonly number[] | null> {
  if (process.getuid?.() !== 0) return null;
  const files = new Set<string>();
  await collect(folder, files);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const users: number[] = [];
  for (const pid of pids) if (await uses(pid, folder, files)) users.push(Number(pid));
  return users;
}

// Private

/** What is gone while it is looked at has no number any more. */
async function collect(path: string, into: Set<string>): Promise<void> {
  const found = await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (found === null) return;
  into.add(`${found.dev}:${found.ino}`);
  if (!found.isDirectory()) return;
  for await (const { name } of await opendir(path)) await collect(join(path, name), into);
}

async function uses(pid: string, folder: string, files: ReadonlySet<string>): Promise<boolean> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const link of [`/proc/${pid}/cwd`, ...fds.map((fd) => `/proc/${pid}/fd/${fd}`)]) {
    // Files that were deleted have no number among these any more, but their path.
    const path = await readlink(link).catch(() => '');
    if (path === folder || path.startsWith(`${folder}/`)) return true;
    if (!path.startsWith('/')) continue;
    const found = await stat(link, { bigint: true }).catch(() => null);
    if (found !== null && files.has(`${found.dev}:${found.ino}`)) return true;
  }
  return false;
}
