import type { AgentObservation } from '../domain/agent.ts';
import { isIn } from '../domain/bot.ts';
import type { ContainerObservation } from '../domain/container.ts';
import { messageOf } from '../domain/errors.ts';
import type { World } from '../planner/world.ts';
import { adoptForRemoval, markRemoving } from './bot-container-mapper.ts';
import type { Dependencies } from './dependencies.ts';
import { keepArchive } from './packing.ts';
import type { CleanupReport } from './pool-api.ts';
import type { Reconciler } from './reconciler.ts';

/** What cleanup thinks of one container. */
export type CleanupVerdict =
  | { readonly kind: 'keep'; readonly why: string }
  /** `leftovers`: directories of bots nobody knows, archived before the container goes. */
  | { readonly kind: 'remove'; readonly leftovers: readonly string[] };

/** Whether a container is proven to be empty. Whatever cannot be seen keeps it. */
export function judge(world: World, name: string): CleanupVerdict {
  const bots = world.state.bots.records.filter((bot) => isIn(bot, name));
  if (bots.length > 0) return keep(bots.length === 1 ? 'has a bot' : `has ${bots.length} bots`);
  if (world.listing.kind === 'unknown') return keep(world.listing.reason);
  const observed = world.listing.value.get(name);
  if (observed === undefined) return { kind: 'remove', leftovers: [] };
  if (observed.status !== 'running') return keep(observed.reason || 'is not running, so what it holds cannot be seen');
  const agent = world.agents.get(name);
  if (agent?.kind !== 'seen') return keep(agent?.reason ?? 'has not been asked yet');
  return judgeContent(agent.value);
}

/** Removes containers proven to be empty, recorded or not, after archiving what is left in them. */
export async function cleanup(deps: Dependencies, reconciler: Reconciler, dryRun: boolean): Promise<CleanupReport> {
  await reconciler.pass('all');
  const world = reconciler.world();
  const observed = world.listing.kind === 'seen' ? world.listing.value : new Map<string, ContainerObservation>();
  const removedPools: string[] = [];
  const archived: string[] = [];
  const kept: { id: string; why: string }[] = [];
  for (const name of new Set([...Object.keys(world.state.containers), ...observed.keys()])) {
    const verdict = judge(world, name);
    if (verdict.kind === 'keep') {
      kept.push({ id: name, why: verdict.why });
      continue;
    }
    try {
      if (!dryRun) await giveUp(deps, reconciler, name, observed.get(name), verdict.leftovers, archived);
      removedPools.push(name);
    } catch (error) {
      kept.push({ id: name, why: messageOf(error) });
    }
  }
  if (!dryRun) await finish(reconciler);
  return { removedPools, archived, kept };
}

// Private

const keep = (why: string): CleanupVerdict => ({ kind: 'keep', why });

/** What unknown bots keep in services cannot be told from what nobody wants: only their directories could be archived. */
function judgeContent(agent: AgentObservation): CleanupVerdict {
  if (agent.bots.length > 0)
    return keep(`runs bots the store does not know: ${agent.bots.map((bot) => bot.bot).join(', ')}`);
  const [left, services] = [agent.directories, agent.serviceDirectories].map((names) => names.join(', '));
  if (left && services)
    return keep(
      `${left} is left there by bots the store does not know, and may be in ${services} too: save it by hand`,
    );
  return { kind: 'remove', leftovers: agent.directories };
}

/** From here on no bot is placed in it; the next pass removes it. */
async function giveUp(
  deps: Dependencies,
  reconciler: Reconciler,
  name: string,
  observed: ContainerObservation | undefined,
  leftovers: readonly string[],
  archived: string[],
): Promise<void> {
  for (const bot of leftovers) archived.push(await keepArchive({ ...deps, agents: reconciler.agents }, name, bot));
  if (name in deps.store.current().containers) await deps.store.update(markRemoving(name));
  else if (observed !== undefined) await deps.store.update(adoptForRemoval(observed, deps.clock.now()));
}

async function finish(reconciler: Reconciler): Promise<void> {
  await reconciler.pass();
  await reconciler.settled();
}
