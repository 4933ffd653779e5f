import { join } from 'node:path';
import { BunkhouseError, messageOf } from '../../../domain/errors.ts';
import * as host from './host.ts';
import { type Living, mainOf, membersOf, type Tenant } from './members.ts';
import { memoryLimit, memoryUsage, settingsOf } from './settings.ts';
import { containerPath, pathIn, type Tree } from './trees.ts';

/** A container as the engine names it: its id, and the pid of its first process on the host. */
export interface Housing {
  readonly id: string;
  readonly pid: number;
}

/** The cgroup of a container in one tree. */
export interface Ground {
  readonly tree: Tree;
  readonly path: string;
}

/** Where the container's own processes go in version 2, in which a cgroup has either processes or cgroups with limits. */
const LEAF = 'bunkhouse-main';
/** Only a fork bomb needs more than two or three. What is left is moved next time; its own process limit tames it meanwhile. */
const ROUNDS = 20;

/**
 * Puts each bot with all its processes into a cgroup of its own below the container's, held to its limits. Idempotent, and
 * may be broken off anywhere. Returns the bots that are wholly in theirs; one whose main process has ended is not.
 * Throws when the container's cgroup is not found, and after all was tried when something could not be written.
 */
export async function confine<T extends Tenant>(
  trees: readonly [Tree, ...Tree[]],
  housing: Housing,
  { tenants, toldAt }: { readonly tenants: readonly T[]; readonly toldAt: number },
): Promise<readonly T[]> {
  const { grounds, depth } = await survey(trees, housing);
  const failures: string[] = [];
  for (const ground of grounds) {
    if (ground.tree.version === 2) await openUp(ground);
    for (const tenant of tenants) failures.push(...(await prepare(ground, tenant)));
  }
  const confined = await settle(grounds, tenants, { depth, toldAt });
  if (failures.length > 0) throw cannot([...new Set(failures)].join('; '));
  return confined;
}

/** Makes room below the container's cgroup of version 2: its own processes go into a leaf, then controllers are passed on. */
export async function openUp({ tree, path }: Ground): Promise<void> {
  const folder = join(tree.mount, path);
  const there = await host.readWords(folder, 'cgroup.controllers');
  const passed = await host.readWords(folder, 'cgroup.subtree_control');
  const missing = tree.controllers.filter((name) => there.includes(name) && !passed.includes(name));
  if (missing.length === 0) return;
  const leaf = join(folder, LEAF);
  await host.makeGroup(leaf);
  for (let round = 0; round < ROUNDS; round++) {
    for (const pid of await host.pidsOf(folder)) await moveIfThere(leaf, pid);
    if (await passOn(folder, missing)) return;
  }
  throw cannot('its processes multiply faster than they can be moved');
}

// Private

/** The container's cgroups, proven to be its own by its id, and how deep its pid namespace lies. */
async function survey(
  trees: readonly Tree[],
  { id, pid }: Housing,
): Promise<{ grounds: readonly Ground[]; depth: number }> {
  const init = await host.readLiving(pid);
  const grounds = trees.flatMap((tree) => {
    const path = init === null ? null : containerPath(tree, init.cgroups, id);
    return path === null ? [] : [{ tree, path }];
  });
  if (init !== null && grounds.length === trees.length) return { grounds, depth: init.pids.length - 1 };
  throw cannot(
    'its cgroup is not found: the supervisor must run on the machine of the Docker engine, and see its processes',
  );
}

/** The bot's cgroup with its limits, before there is anybody in it. Returns what could not be written. */
async function prepare(ground: Ground, tenant: Tenant): Promise<string[]> {
  const folder = folderOf(ground, tenant);
  await host.makeGroup(folder);
  const failures: string[] = [];
  const full = await holdsMore(ground, tenant);
  for (const { controller, file, value, optional } of settingsOf(ground.tree, tenant.limits)) {
    if (controller === 'memory' && full) continue;
    try {
      await host.write(folder, file, value);
    } catch (error) {
      if (!optional || host.errnoOf(error) !== 'ENOENT')
        failures.push(`${file} cannot be set to ${value}: ${host.errnoOf(error) ?? messageOf(error)}`);
    }
  }
  return failures;
}

/** Then a lower limit waits for its next start: the kernel would kill it at once, where the plugin restarts it gracefully. */
async function holdsMore(ground: Ground, tenant: Tenant): Promise<boolean> {
  const limit = memoryLimit(tenant.limits);
  if (limit === null || !ground.tree.controllers.includes('memory')) return false;
  const folder = folderOf(ground, tenant);
  const [bytes] = await host.readWords(folder, memoryUsage(ground.tree));
  return Number(bytes) > limit && (await host.pidsOf(folder)).length > 0;
}

/** Moves until a look finds everybody in place: what was forked before its parent was moved is found by the next look. */
async function settle<T extends Tenant>(
  grounds: readonly Ground[],
  tenants: readonly T[],
  view: { depth: number; toldAt: number },
): Promise<readonly T[]> {
  const [first] = grounds;
  if (first === undefined) return [];
  for (let round = 0; round < ROUNDS; round++) {
    const living = await host.readAllLiving(join(first.tree.mount, first.path));
    const moves = tenants.flatMap((tenant) => movesOf(grounds, tenant, membersOf(tenant, living, view)));
    if (moves.length === 0) return tenants.filter((tenant) => mainOf(tenant, living, view) !== null);
    for (const { folder, process } of moves) await host.moveInto(folder, process);
  }
  throw cannot('its processes multiply faster than they can be moved');
}

function movesOf(
  grounds: readonly Ground[],
  tenant: Tenant,
  members: readonly Living[],
): { folder: string; process: Living }[] {
  return members.flatMap((process) =>
    grounds
      .filter((ground) => pathIn(ground.tree, process.cgroups) !== pathOf(ground, tenant))
      .map((ground) => ({ folder: folderOf(ground, tenant), process })),
  );
}

async function moveIfThere(folder: string, pid: number): Promise<void> {
  const process = await host.readLiving(pid);
  if (process !== null) await host.moveInto(folder, process);
}

/** False while somebody is still, or again, in the cgroup itself. */
async function passOn(folder: string, controllers: readonly string[]): Promise<boolean> {
  try {
    await host.write(folder, 'cgroup.subtree_control', controllers.map((name) => `+${name}`).join(' '));
    return true;
  } catch (error) {
    if (host.errnoOf(error) === 'EBUSY') return false;
    throw error;
  }
}

const pathOf = ({ path }: Ground, { slot }: Tenant): string => `${path}/slot-${slot}`;
const folderOf = (ground: Ground, tenant: Tenant): string => join(ground.tree.mount, pathOf(ground, tenant));

const cannot = (why: string): BunkhouseError => new BunkhouseError('UNSUPPORTED', why);
