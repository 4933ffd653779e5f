import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Pids of processes that have a file open in the folder, or work in it; null when that cannot be told, because only root sees
 * what other users' processes have open.
 */
export async function usersOf(folder: string): Promise<readonly number[] | null> {
  if (process.getuid?.() !== 0) return null;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const users: number[] = [];
  for (const pid of pids) if (await uses(pid, folder)) users.push(Number(pid));
  return users;
}

// Private

async function uses(pid: string, folder: string): Promise<boolean> {
  const isIn = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
  if (isIn(await target(`/proc/${pid}/cwd`))) return true;
  const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const fd of open) if (isIn(await target(join('/proc', pid, 'fd', fd)))) return true;
  return false;
}

const target = (link: string): Promise<string> => readlink(link).catch(() => '');
