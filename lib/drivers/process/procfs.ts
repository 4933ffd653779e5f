import { readdir, readFile, stat } from 'node:fs/promises';
import { mapLimited } from '../../util/limit.ts';

/** A living process. Zombies are dead: they hold no port, no file and no memory. */
export interface ProcessFacts {
  readonly pid: number;
  readonly uid: number;
  readonly session: number;
  /** Clock ticks since boot: with the pid it names a process for good. */
  readonly start: number;
  /** Empty when it may not be read. */
  readonly argv: readonly string[];
  /** Entries NAME=value as they were when the program was started; empty when it may not be read. */
  readonly environment: readonly string[];
}

/** All living processes we could have started: as root of all users, else our own. Throws when they cannot be listed. */
export async function readProcesses(): Promise<readonly ProcessFacts[]> {
  const own = process.getuid?.() ?? 0;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await mapLimited(pids, 16, (pid) => readProcess(pid, own));
  return found.filter((facts) => facts !== null);
}

/** Empty when the process is gone. */
export async function readArguments(pid: number): Promise<readonly string[]> {
  return ((await read(pid, 'cmdline')) ?? '').split('\0').slice(0, -1);
}

async function readProcess(pid: number, own: number): Promise<ProcessFacts | null> {
  const owner = await stat(`/proc/${pid}`).catch(() => null);
  if (owner === null || (own !== 0 && owner.uid !== own)) return null;
  const text = await read(pid, 'stat');
  if (text === null) return null;
  // The name in parentheses may hold anything, so count from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if ('ZX'.includes(fields[0] ?? 'X')) return null;
  const [argv, environ] = await Promise.all([readArguments(pid), read(pid, 'environ')]);
  const environment = (environ ?? '').split('\0');
  return { pid, uid: owner.uid, session: Number(fields[3]), start: Number(fields[19]), argv, environment };
}

async function read(pid: number, name: string): Promise<string | null> {
  try {
    return await readFile(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return null;
  }
}
