import { type Addresses, botUrl } from '../domain/hosts.ts';
import { type ReservePhase, reserveKey } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import { type Member, planRefill } from '../planner/refill.ts';
import { isMember } from '../planner/reserve.ts';
import type { World } from '../planner/world.ts';
import type { ReserveStatus, WaitingBot } from './lease-api.ts';

/** Leases in one location since the start of this supervisor, and those of them that a warm bot waited for. */
export interface Acquired {
  readonly all: number;
  readonly fromPool: number;
}

export const NONE_ACQUIRED: Acquired = { all: 0, fromPool: 0 };

/** What is kept ready of each template that is handed out on lease, in each location. */
export function reserveStatus(world: World, acquired: ReadonlyMap<string, Acquired>): readonly ReserveStatus[] {
  const members = world.state.bots.records.filter(isMember);
  const byKey = Map.groupBy(members, reserveKey);
  const { held } = planRefill(world);
  return [...world.reserves].map(([key, reserve]) => {
    const phases = (byKey.get(key) ?? []).map((bot) => bot.reserve.phase);
    const many = (...wanted: ReservePhase[]): number => phases.filter((phase) => wanted.includes(phase)).length;
    const { all, fromPool } = acquired.get(key) ?? NONE_ACQUIRED;
    return {
      template: reserve.template,
      location: reserve.location,
      target: reserve.target,
      minSize: reserve.min,
      maxSize: reserve.max,
      ready: many('ready'),
      warming: many('warming'),
      assigned: many('assigned'),
      resetting: many('expired', 'resetting'),
      isRefilling: reserve.refilling,
      held: held.find(({ target }) => target === key)?.why ?? shutOf(world, byKey.get(key) ?? []),
      acquired: all,
      fromPool,
      hitRate: all === 0 ? null : fromPool / all,
    };
  });
}

/** Bots of a template that are ready to be handed out, longest waiting first. */
export function waitingBots(state: State, template: string, addresses: Addresses): readonly WaitingBot[] {
  return state.bots.records
    .filter(isMember)
    .filter((bot) => bot.template === template && bot.reserve.phase === 'ready')
    .sort((a, b) => (a.reserve.since < b.reserve.since ? -1 : 1))
    .map(({ instanceId, location, createdAt }) => {
      return { instanceId, location, url: botUrl(instanceId, addresses), createdAt };
    });
}

// Private

/** Why bots that are well are not ready all the same; empty when there are none. */
function shutOf({ shut }: World, members: readonly Member[]): string {
  const waiting = members.filter(({ instanceId, reserve }) => reserve.phase === 'warming' && shut.has(instanceId));
  const reason = shut.get(waiting[0]?.instanceId ?? '') ?? '';
  return waiting.length < 2 ? reason : `${reason} (and ${waiting.length - 1} more)`;
}
