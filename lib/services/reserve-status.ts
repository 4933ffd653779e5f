import type { ReservePhase } from '../domain/lease.ts';
import { type Member, planRefill } from '../planner/refill.ts';
import { isMember } from '../planner/reserve.ts';
import type { World } from '../planner/world.ts';
import type { ReserveStatus } from './lease-api.ts';

/** Leases since the start of this supervisor, and those of them that a warm bot waited for. */
export interface Acquired {
  readonly all: number;
  readonly fromPool: number;
}

export const NONE_ACQUIRED: Acquired = { all: 0, fromPool: 0 };

/** What is kept ready of each template that is handed out on lease. */
export function reserveStatus(
  world: World,
  location: string,
  acquired: ReadonlyMap<string, Acquired>,
): readonly ReserveStatus[] {
  const members = world.state.bots.records.filter(isMember);
  const byTemplate = Map.groupBy(members, (bot) => bot.template);
  const { held } = planRefill(world);
  return [...world.reserves].map(([template, reserve]) => {
    const phases = (byTemplate.get(template) ?? []).map((bot) => bot.reserve.phase);
    const many = (...wanted: ReservePhase[]): number => phases.filter((phase) => wanted.includes(phase)).length;
    const { all, fromPool } = acquired.get(template) ?? NONE_ACQUIRED;
    return {
      template,
      location,
      target: reserve.target,
      minSize: reserve.min,
      maxSize: reserve.max,
      ready: many('ready'),
      warming: many('warming'),
      assigned: many('assigned'),
      resetting: many('expired', 'resetting'),
      isRefilling: reserve.refilling,
      held: held.find(({ target }) => target === template)?.why ?? shutOf(world, byTemplate.get(template) ?? []),
      acquired: all,
      fromPool,
      hitRate: all === 0 ? null : fromPool / all,
    };
  });
}

// Private

/** Why bots that are well are not ready all the same; empty when there are none. */
function shutOf({ shut }: World, members: readonly Member[]): string {
  const waiting = members.filter(({ instanceId, reserve }) => reserve.phase === 'warming' && shut.has(instanceId));
  const reason = shut.get(waiting[0]?.instanceId ?? '') ?? '';
  return waiting.length < 2 ? reason : `${reason} (and ${waiting.length - 1} more)`;
}
