import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { type Controller, containerPath, type Tree, treesOf } from '../../lib/drivers/docker/cgroups/trees.ts';

/** Cgroups of one container, looked at from the host: what the driver made of them, in the kernel's own files. */
export interface ContainerCgroup {
  readonly version: Tree['version'];
  /** Of a slot, or of the whole container. */
  folder(controller: Controller, slot?: number): string;
  read(controller: Controller, slot: number, file: string): Promise<string>;
  write(controller: Controller, slot: number, file: string, value: string): Promise<void>;
  /** Host pids in a slot's cgroup. */
  pids(controller: Controller, slot: number): Promise<readonly number[]>;
}

/** Why these tests cannot look at cgroups here; null: they can. */
export function missingForCgroups(): string | null {
  if (process.getuid?.() !== 0) return 'root';
  const trees = treesOf(readFileSync('/proc/self/mountinfo', 'utf8'));
  return trees.kind === 'none' ? `cgroups that can be written: ${trees.reason}` : null;
}

export async function cgroupOf(engine: Docker, container: string): Promise<ContainerCgroup> {
  const { Id, State } = await engine.getContainer(container).inspect();
  const trees = treesOf(await readFile('/proc/self/mountinfo', 'utf8'));
  if (trees.kind === 'none') throw new Error(trees.reason);
  const cgroups = await readFile(`/proc/${State.Pid}/cgroup`, 'utf8');
  const folder = (controller: Controller, slot?: number): string => {
    const tree = trees.trees.find(({ controllers }) => controllers.includes(controller));
    const path = tree === undefined ? null : containerPath(tree, cgroups, Id);
    if (tree === undefined || path === null) throw new Error(`${container} has no cgroup for ${controller}`);
    return join(tree.mount, path, slot === undefined ? '' : `slot-${slot}`);
  };
  return {
    version: trees.trees[0].version,
    folder,
    read: async (controller, slot, file) => (await readFile(join(folder(controller, slot), file), 'utf8')).trim(),
    write: (controller, slot, file, value) => writeFile(join(folder(controller, slot), file), value),
    pids: async (controller, slot) => {
      const text = await readFile(join(folder(controller, slot), 'cgroup.procs'), 'utf8');
      return text.split('\n').filter(Boolean).map(Number);
    },
  };
}

/** The pid on the host of a process in a container; null when it is not there. */
export async function hostPid(cgroup: ContainerCgroup, inside: number): Promise<number | null> {
  const root = cgroup.folder('memory');
  const folders = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  );
  for (const folder of [root, ...folders.map((entry) => join(entry.parentPath, entry.name))]) {
    for (const pid of (await readFile(join(folder, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean)) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      if (/^NSpid:.*\s(\d+)$/m.exec(status)?.[1] === String(inside)) return Number(pid);
    }
  }
  return null;
}
