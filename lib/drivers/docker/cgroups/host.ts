import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { mapLimited } from '../../../util/limit.ts';
import type { Living } from './members.ts';
import { type Trees, treesOf } from './trees.ts';

/** The kernel's files about processes and cgroups. No decisions. */

const PROCESSES = 'cgroup.procs';
const TICKS_PER_SECOND = 100;

/** The cgroups that this process may change. */
export async function readTrees(): Promise<Trees> {
  if (process.getuid?.() !== 0) return { kind: 'none', reason: 'the supervisor is not root' };
  return treesOf((await readOrNull('/proc/self/mountinfo')) ?? '');
}

/** Now, as `/proc` counts the starts of processes. */
export function ticksSinceBoot(): number {
  return Math.round(uptime() * TICKS_PER_SECOND);
}

/** Null when it is gone. Zombies are gone: they fork no more and hold no memory. */
export async function readLiving(pid: number): Promise<Living | null> {
  const [status, start, cgroups] = await Promise.all([
    readOrNull(`/proc/${pid}/status`),
    readStart(pid),
    readOrNull(`/proc/${pid}/cgroup`),
  ]);
  if (status === null || start === null || cgroups === null) return null;
  const field = (name: string): string[] => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
  if ('ZX'.includes(field('State')[0] ?? 'X')) return null;
  const [parent] = field('PPid').map(Number);
  const [uid] = field('Uid').map(Number);
  if (parent === undefined || uid === undefined) return null;
  return { pid, parent, uid, start, pids: field('NSpid').map(Number), cgroups };
}

/** All living processes of a cgroup and of those below it. */
export async function readAllLiving(folder: string): Promise<readonly Living[]> {
  const found = await mapLimited(await pidsBelow(folder), 16, readLiving);
  return found.filter((process) => process !== null);
}

/** Moves one process, with all its threads. No-op when it is gone, also when another one has its number. */
export async function moveInto(folder: string, { pid, start }: Pick<Living, 'pid' | 'start'>): Promise<void> {
  if ((await readStart(pid)) !== start) return;
  await unless('ESRCH', write(folder, PROCESSES, String(pid)));
}

/** Pids of a cgroup itself. */
export async function pidsOf(folder: string): Promise<readonly number[]> {
  const text = await readFile(join(folder, PROCESSES), 'utf8');
  return text.split('\n').filter(Boolean).map(Number);
}

/** Never makes the cgroup above it: that one may just have gone, with its container. */
export async function makeGroup(folder: string): Promise<void> {
  await unless('EEXIST', mkdir(folder));
}

export async function readWords(folder: string, file: string): Promise<readonly string[]> {
  return (await readFile(join(folder, file), 'utf8')).split(/\s+/).filter(Boolean);
}

/** Throws ENOENT for a file that the kernel does not have. */
export async function write(folder: string, file: string, value: string): Promise<void> {
  await writeFile(join(folder, file), value, { flag: 'r+' });
}

/** The kernel's name of an error, such as ENOENT. */
export function errnoOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

// Private

async function readStart(pid: number): Promise<number | null> {
  const stat = await readOrNull(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything, so count from its end.
  return stat === null ? null : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

async function pidsBelow(folder: string): Promise<number[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => pidsBelow(join(folder, entry.name)));
  return [...(await pidsOf(folder)), ...(await Promise.all(below)).flat()];
}

async function readOrNull(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

/** Swallows the one error of the kernel that means "already so" or "not there". */
async function unless(code: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (errnoOf(error) !== code) throw error;
  }
}
