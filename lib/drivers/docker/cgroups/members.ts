import type { BotLimits } from '../../../domain/template.ts';

/** A living process of a container, seen from the host. */
export interface Living {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  /** Clock ticks since boot: with the pid it names a process for good. */
  readonly start: number;
  /** Its pids from our pid namespace inwards (NSpid). */
  readonly pids: readonly number[];
  /** Its `/proc/PID/cgroup`. */
  readonly cgroups: string;
}

/** A bot with a living process, as its container tells of it. */
export interface Tenant {
  readonly slot: number;
  /** Inside its container. */
  readonly pid: number;
  /** Of its slot, and of nobody else. */
  readonly uid: number;
  readonly limits: BotLimits;
}

/** How the container's word is compared with what the host sees. */
export interface View {
  /** Depth of the container's pid namespace below ours. */
  readonly depth: number;
  /** When the container told of its bots, in clock ticks since boot. */
  readonly toldAt: number;
}

/** The process that the container told of. One that started later has only got its number. */
export function mainOf(tenant: Tenant, living: readonly Living[], view: View): Living | null {
  return living.find(({ pids, start }) => pids[view.depth] === tenant.pid && start <= view.toldAt) ?? null;
}

/** All processes of a bot: its main one, those of its uid, and what descends from any of them. Parents first. */
export function membersOf(tenant: Tenant, living: readonly Living[], view: View): readonly Living[] {
  const main = mainOf(tenant, living, view);
  const members = new Set(living.filter((process) => process === main || process.uid === tenant.uid));
  const children = Map.groupBy(living, ({ parent }) => parent);
  // A set may grow while it is walked through: what is added is walked through as well.
  for (const { pid } of members) for (const child of children.get(pid) ?? []) members.add(child);
  return [...members].sort((one, other) => Number(other === main) - Number(one === main) || one.start - other.start);
}
