/** Where cgroups are, read from the kernel's own tables. Pure. */

export type Controller = 'memory' | 'cpu' | 'pids';
const CONTROLLERS: readonly Controller[] = ['memory', 'cpu', 'pids'];

/** One hierarchy of cgroups: version 1 has one for each controller (or for a few), version 2 one for all. */
export interface Tree {
  readonly version: 1 | 2;
  /** Folder where it is mounted. */
  readonly mount: string;
  readonly controllers: readonly Controller[];
}

export type Trees =
  | { readonly kind: 'trees'; readonly trees: readonly [Tree, ...Tree[]] }
  | { readonly kind: 'none'; readonly reason: string };

interface Mount {
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
  /** Of the whole hierarchy, and not read-only: otherwise it is the little that a container is shown. */
  readonly usable: boolean;
}

/** The hierarchies that can be written, from `/proc/self/mountinfo`. Where both versions are, limits are kept in the first. */
export function treesOf(mountinfo: string): Trees {
  const mounts = mountinfo.split('\n').flatMap(mountOf);
  const [first, ...more] = firstVersion(mounts).concat(secondVersion(mounts));
  if (first !== undefined)
    return { kind: 'trees', trees: [first, ...more.filter((tree) => tree.version === first.version)] };
  if (mounts.length > 0)
    return { kind: 'none', reason: 'the supervisor is in a container without the cgroups of its host' };
  return { kind: 'none', reason: 'there are no cgroups on this machine' };
}

/** Path of a process in a tree, from its `/proc/PID/cgroup`; null when it is in none. */
export function pathIn(tree: Tree, cgroups: string): string | null {
  for (const line of cgroups.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const belongs =
      tree.version === 2 ? controllers === '' : controllers.split(',').includes(tree.controllers[0] ?? '');
    if (belongs) return path;
  }
  return null;
}

/**
 * Path of a container in a tree, from `/proc/PID/cgroup` of one of its processes, which may be deeper than the container.
 * Null when it does not name the container: then that process is none of its, and nothing there is to be touched.
 */
export function containerPath(tree: Tree, cgroups: string, containerId: string): string | null {
  const parts = pathIn(tree, cgroups)?.split('/') ?? [];
  const at = parts.findIndex((part) => part.includes(containerId));
  return at < 0 || parts.includes('..') ? null : parts.slice(0, at + 1).join('/');
}

// Private

function firstVersion(mounts: readonly Mount[]): Tree[] {
  const trees: Tree[] = [];
  for (const { type, options, point, usable } of mounts) {
    if (type !== 'cgroup' || !usable) continue;
    const taken = trees.flatMap((tree) => tree.controllers);
    const controllers = CONTROLLERS.filter((name) => options.includes(name) && !taken.includes(name));
    if (controllers.length > 0) trees.push({ version: 1, mount: point, controllers });
  }
  return trees;
}

function secondVersion(mounts: readonly Mount[]): Tree[] {
  const mount = mounts.find(({ type, usable }) => type === 'cgroup2' && usable);
  return mount === undefined ? [] : [{ version: 2, mount: mount.point, controllers: CONTROLLERS }];
}

/** Fields as in proc_pid_mountinfo(5): some optional ones before the dash. */
function mountOf(line: string): Mount[] {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , root, point, flags] = before.split(' ');
  const [type = '', , options = ''] = after.split(' ');
  if (!type.startsWith('cgroup') || point === undefined) return [];
  const usable = root === '/' && flags?.split(',').includes('rw') === true;
  return [{ point, type, options: options.split(','), usable }];
}
