import { readdirSync, readFileSync } from 'node:fs';
import type { MemorySample } from '../../lib/domain/agent.ts';

/** Processes as this host's /proc shows them, whatever container they are in. Reading memory of others needs root. */

export interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Of /proc: `Z` is a zombie. */
  readonly state: string;
  /** Of itself, without children it has waited for. */
  readonly cpuSeconds: number;
  /** Clock ticks since boot: with the pid it names a process for good. */
  readonly start: number;
}

const TICKS_PER_SECOND = 100;

export function listProcesses(): HostProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

/** Null for one that has ended and was reaped. */
export function readProcess(pid: number): HostProcess | null {
  const text = read(pid, 'stat');
  return text === null ? null : parseStat(pid, text);
}

/** One line of /proc/PID/stat. */
export function parseStat(pid: number, text: string): HostProcess {
  // The name in parentheses may hold anything, so count from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index]);
  return {
    pid,
    parent: number(1),
    session: number(3),
    state: fields[0] ?? '',
    cpuSeconds: (number(11) + number(12)) / TICKS_PER_SECOND,
    start: number(19),
  };
}

/** The processes of these pids and all that descend from them, each once. */
export function descendantsOf(roots: readonly number[], all: readonly HostProcess[]): HostProcess[] {
  const children = Map.groupBy(all, ({ parent }) => parent);
  const found = new Map(all.filter(({ pid }) => roots.includes(pid)).map((root) => [root.pid, root]));
  for (const { pid } of found.values()) for (const child of children.get(pid) ?? []) found.set(child.pid, child);
  return [...found.values()];
}

/** Null when it has ended, or is a zombie. */
export function memoryOf(pid: number): MemorySample | null {
  const text = read(pid, 'smaps_rollup');
  return text === null || text === '' ? null : parseSmapsRollup(text);
}

/** Text of /proc/PID/smaps_rollup. */
export function parseSmapsRollup(text: string): MemorySample {
  const bytes = (name: string): number => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    if (kib === undefined) throw new Error(`no ${name} in smaps_rollup`);
    return Number(kib) * 1024;
  };
  const rssBytes = bytes('Rss');
  const privateBytes = bytes('Private_Clean') + bytes('Private_Dirty');
  const swapBytes = bytes('SwapPss');
  return { pssBytes: bytes('Pss'), rssBytes, privateBytes, sharedBytes: rssBytes - privateBytes, swapBytes };
}

/** PSS of processes together; of those that have just ended, nothing. */
export function pssOf(pids: Iterable<number>): number {
  return [...pids].reduce((sum, pid) => sum + (memoryOf(pid)?.pssBytes ?? 0), 0);
}

export function realUid(pid: number): number | null {
  const uid = /^Uid:\s+(\d+)/m.exec(read(pid, 'status') ?? '')?.[1];
  return uid === undefined ? null : Number(uid);
}

/** Its pid inside its own container. */
export function innerPid(pid: number): number | null {
  const inner = /^NSpid:.*?(\d+)$/m.exec(read(pid, 'status') ?? '')?.[1];
  return inner === undefined ? null : Number(inner);
}

export function commandLine(pid: number): readonly string[] {
  return (read(pid, 'cmdline') ?? '').split('\0').slice(0, -1);
}

/** Open descriptors; null when it has ended. */
export function openFiles(pid: number): number | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null;
  }
}

/** Whether the kernel was asked to merge equal pages of the process, and has found some. */
export function mergesPages(pid: number): boolean {
  return Number(/^ksm_merging_pages (\d+)$/m.exec(read(pid, 'ksm_stat') ?? '')?.[1] ?? 0) > 0;
}

/** What the kernel says could be taken into use without swapping. */
export function availableBytes(): number {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}

// Private

function read(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return null;
  }
}
