import { planBots } from './bots.ts';
import { planContainers } from './containers.ts';
import { planEmptying } from './emptying.ts';
import { planFallback } from './fallback.ts';
import { planLeases } from './leases.ts';
import { planMigrations } from './migrations.ts';
import { planDestinations, planPlacement } from './place.ts';
import { planReserve } from './reserve.ts';
import { Rooms } from './rooms.ts';
import { highestGeneration } from './sightings.ts';
import { joinPlans, type Plan, type World } from './world.ts';

/** What to do next, and what is left alone and why. Pure: the same world gives the same plan. */
export function plan(world: World): Plan {
  const leases = planLeases(world);
  const { listing } = world;
  if (listing.kind === 'unknown')
    return joinPlans([leases, { steps: [], held: [{ target: 'driver', why: listing.reason }] }]);
  const highest = highestGeneration(world);
  if (highest > world.state.generation) return joinPlans([leases, catchUp(world, highest)]);
  const rooms = new Rooms(world);
  return joinPlans([
    leases,
    planPlacement(world, rooms),
    planDestinations(world, rooms),
    planFallback(world, rooms),
    planEmptying(world, rooms),
    planContainers(world),
    planBots(world),
    planReserve(world),
    planMigrations(world),
  ]);
}

// Private

/**
 * An older copy of the store was brought back. Before anything else happens, no generation may be given again, and bots are taken for
 * where they are seen last: afterwards it could not be told any more.
 */
function catchUp(world: World, highest: number): Plan {
  const followed = planBots(world).steps.filter(({ kind }) => kind === 'followNewest');
  return { steps: [{ kind: 'raiseGeneration', to: highest }, ...followed], held: [] };
}
