import { planBots } from './bots.ts';
import { planContainers } from './containers.ts';
import { planPlacement } from './place.ts';
import { planReserve } from './reserve.ts';
import { joinPlans, type Plan, type World } from './world.ts';

/** What to do next, and what is left alone and why. Pure: the same world gives the same plan. */
export function plan(world: World): Plan {
  if (world.listing.kind === 'unknown') return { steps: [], held: [{ target: 'driver', why: world.listing.reason }] };
  return joinPlans([planPlacement(world), planContainers(world), planBots(world), planReserve(world)]);
}
