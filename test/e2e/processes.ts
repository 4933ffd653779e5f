import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** A living process, as /proc shows it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  readonly argv: readonly string[];
  readonly directory: string;
}

/** All living processes that work below the folder or name it in their arguments. Zombies do not count. */
export function processesBelow(folder: string): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => inspect(Number(name)) ?? [])
    .filter(({ directory, argv }) => isBelow(directory, folder) || argv.some((argument) => isBelow(argument, folder)));
}

/** SIGKILL to all of them, until none is left. Throws when some outlive it for ten seconds. */
export async function killAll(find: () => readonly ProcessInfo[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (let left = find(); left.length > 0; left = find()) {
    if (performance.now() > deadline) throw new Error(`these outlive SIGKILL: ${left.map(({ pid }) => pid).join(' ')}`);
    for (const { pid } of left) signal(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** False when there is no such process. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

// Private

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** Null for one that has just ended. */
function inspect(pid: number): ProcessInfo | null {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    return {
      pid,
      parent: Number(parent),
      uid: statSync(`/proc/${pid}`).uid,
      argv: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean),
      directory: readlinkSync(`/proc/${pid}/cwd`),
    };
  } catch {
    return null;
  }
}
