import type { AgentObservation } from '../domain/agent.ts';
import { type BotRecord, isIn } from '../domain/bot.ts';
import type { World } from './world.ts';

/** Whether a container may go. */
export type Verdict =
  | { readonly kind: 'keep'; readonly why: string }
  /** `leftovers`: directories of bots nobody knows, to be archived before the container goes. */
  | { readonly kind: 'remove'; readonly leftovers: readonly string[] };

/** Whether a container is proven to be empty. Whatever cannot be seen keeps it, and so does a bot that may come back to it. */
export function judge(world: World, name: string): Verdict {
  const bots = tenantsOf(world, name);
  if (bots > 0) return keep(bots === 1 ? 'has a bot' : `has ${bots} bots`);
  if (world.listing.kind === 'unknown') return keep(world.listing.reason);
  const observed = world.listing.value.get(name);
  if (observed === undefined) return { kind: 'remove', leftovers: [] };
  if (observed.status !== 'running') return keep(observed.reason || 'is not running, so what it holds cannot be seen');
  const agent = world.agents.get(name);
  if (agent?.kind !== 'seen') return keep(agent?.reason ?? 'has not been asked yet');
  const newer = agent.value.dormant.find(({ bot, generation }) => isAhead(world.state.bots.get(bot), generation));
  if (newer !== undefined) return keep(`has newer data of ${newer.bot} than the store knows of`);
  return judgeContent(agent.value);
}

/** Bots that have a place in it, or left one there that they may come back to. */
export function tenantsOf({ state }: Pick<World, 'state'>, name: string): number {
  return state.bots.records.filter((bot) => isIn(bot, name)).length;
}

// Private

const keep = (why: string): Verdict => ({ kind: 'keep', why });

/** An older copy of the store was brought back: the bot goes on from there as soon as all other places are seen. */
function isAhead(bot: BotRecord | undefined, seen: number): boolean {
  return bot !== undefined && seen > bot.generation;
}

/** What unknown bots keep in services cannot be told from what nobody wants: only their directories could be archived. */
function judgeContent(agent: AgentObservation): Verdict {
  if (agent.bots.length > 0)
    return keep(`runs bots the store does not know: ${agent.bots.map((bot) => bot.bot).join(', ')}`);
  const [left, services] = [agent.directories, agent.serviceDirectories].map((names) => names.join(', '));
  if (left && services)
    return keep(
      `${left} is left there by bots the store does not know, and may be in ${services} too: save it by hand`,
    );
  return { kind: 'remove', leftovers: agent.directories };
}
