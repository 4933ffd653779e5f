import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Controller, type Tree, treesOf } from '../../lib/drivers/docker/cgroups/trees.ts';
import { waitFor } from './wait-for.ts';

type SomeTrees = readonly [Tree, ...Tree[]];

/** A cgroup that looks like a container's, in real trees, and real processes in it; no engine is needed. */
export interface CgroupSandbox {
  readonly id: string;
  /** Of its first process. */
  readonly pid: number;
  folder(tree: Tree, below?: string): string;
  /** Starts a program there; the pid. Its children are there too. */
  run(program: string, args: readonly string[], uid?: number): Promise<number>;
  /** Paths of a process below the sandbox, one a tree. */
  places(pid: number): Promise<readonly string[]>;
  dispose(): Promise<void>;
}

/** Trees in which this machine lets a test work: of the version that keeps limits, and of the other one where there is one. */
export function usableTrees(): { readonly what: string; readonly trees: SomeTrees }[] {
  if (process.getuid?.() !== 0) return [];
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  const limits = treesOf(mountinfo);
  const second = treesOf(mountinfo.replaceAll(/^.* - cgroup .*$/gm, ''));
  const found = [...(limits.kind === 'none' ? [] : [limits.trees]), ...(second.kind === 'none' ? [] : [second.trees])];
  const versions = found.flatMap((trees) => (trees[0].version === 2 ? secondVersion(trees[0]) : [trees]));
  return versions
    .filter((trees, at) => versions.findIndex(([{ version }]) => version === trees[0].version) === at)
    .map((trees) => ({ what: `version ${trees[0].version}`, trees }));
}

export async function cgroupSandbox(trees: SomeTrees): Promise<CgroupSandbox> {
  const id = randomBytes(32).toString('hex');
  const folder = (tree: Tree, below = ''): string => join(tree.mount, id, below);
  const children: ChildProcess[] = [];
  const undo = await Promise.all(trees.map(passOn));
  for (const tree of trees) await mkdir(folder(tree));
  const run = async (program: string, args: readonly string[], uid?: number): Promise<number> => {
    // It goes on only once it is inside, so that nothing of it is ever elsewhere.
    const gated = ['-c', 'read go && exec "$@"', 'sh', program, ...args];
    const child = spawn('/bin/sh', gated, {
      stdio: ['pipe', 'ignore', 'inherit'],
      ...(uid === undefined ? {} : { uid }),
    });
    children.push(child);
    const pid = child.pid ?? 0;
    for (const tree of trees) await enter(folder(tree), pid);
    child.stdin?.end('go\n');
    return pid;
  };
  return {
    id,
    pid: await run('sleep', ['600']),
    folder,
    run,
    places: async (pid) => {
      const text = await readFile(`/proc/${pid}/cgroup`, 'utf8');
      const paths = text.split('\n').flatMap((line) => line.split(`:/${id}`).slice(1));
      return paths.map((path) => path.slice(1));
    },
    async dispose() {
      for (const tree of trees) await empty(folder(tree));
      for (const child of children) child.unref();
      for (const again of undo) await again();
    },
  };
}

/** In version 2 nobody may enter a cgroup that has passed controllers on: then into the leaf, as an engine does with `exec`. */
async function enter(folder: string, pid: number): Promise<void> {
  await writeFile(join(folder, 'cgroup.procs'), String(pid)).catch(() =>
    writeFile(join(folder, 'bunkhouse-main/cgroup.procs'), String(pid)),
  );
}

/** Where limits are kept in version 1, another controller stands in: the rules of version 2 are the same for all. */
function secondVersion(tree: Tree): SomeTrees[] {
  const there = readFileSync(join(tree.mount, 'cgroup.controllers'), 'utf8').split(/\s+/).filter(Boolean);
  const ours = tree.controllers.filter((name) => there.includes(name));
  const controllers = ours.length > 0 ? ours : (there.slice(0, 1) as Controller[]);
  return controllers.length === 0 ? [] : [[{ ...tree, controllers }]];
}

/** Passes controllers on from the root of version 2, as an engine does; returns what takes back what was not so before. */
async function passOn(tree: Tree): Promise<() => Promise<void>> {
  if (tree.version === 1) return async () => {};
  const file = join(tree.mount, 'cgroup.subtree_control');
  const before = (await readFile(file, 'utf8')).split(/\s+/);
  const missing = tree.controllers.filter((name) => !before.includes(name));
  const set = async (sign: string): Promise<void> => {
    for (const name of missing) await writeFile(file, `${sign}${name}`);
  };
  await set('+');
  // Another test at the same time may still need it: then that one takes it back.
  return () => set('-').catch(() => {});
}

async function empty(folder: string): Promise<void> {
  const below = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  for (const entry of below) await empty(join(folder, entry.name));
  await waitFor(`${folder} is empty`, async () => {
    const pids = (await readFile(join(folder, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean);
    for (const pid of pids) kill(Number(pid));
    await rmdir(folder);
    return true;
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
