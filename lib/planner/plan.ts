import { planBots } from './bots.ts';
import { planContainers } from './containers.ts';
import { planLeases } from './leases.ts';
import { planMigrations } from './migrations.ts';
import { planPlacement } from './place.ts';
import { planReserve } from './reserve.ts';
import { joinPlans, type Plan, type World } from './world.ts';

/** What to do next, and what is left alone and why. Pure: the same world gives the same plan. */
export function plan(world: World): Plan {
  const leases = planLeases(world);
  const { listing } = world;
  if (listing.kind === 'unknown')
    return joinPlans([leases, { steps: [], held: [{ target: 'driver', why: listing.reason }] }]);
  return joinPlans([
    leases,
    planPlacement(world),
    planContainers(world),
    planBots(world),
    planReserve(world),
    planMigrations(world),
  ]);
}
