import type { ContainerObservation } from '../domain/container.ts';
import { messageOf } from '../domain/errors.ts';
import { judge } from '../planner/emptiness.ts';
import { adoptForRemoval, markRemoving } from './bot-container-mapper.ts';
import type { Dependencies } from './dependencies.ts';
import { keepArchive } from './packing.ts';
import type { CleanupReport } from './pool-api.ts';
import type { Reconciler } from './reconciler.ts';

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
