import type { BotRecord } from '../domain/bot.ts';
import { botLane, type Step } from '../domain/steps.ts';
import { isHeld } from './decisions.ts';
import { mayFallBack } from './fallback.ts';
import type { Rooms } from './rooms.ts';
import { findBots } from './sightings.ts';
import { type Held, joinPlans, NOTHING, type Plan, type World } from './world.ts';

/**
 * Gives every bot without a place a slot, oldest bots first. Containers just recorded count at once, so many bots at a time
 * fill them instead of making more. One that is in a container although no claim says so (an older store was restored) stays
 * there: elsewhere it would run twice.
 */
export function planPlacement(world: World, rooms: Rooms): Plan {
  const homeless = world.state.bots.records
    .filter((bot) => bot.placement === null && !bot.deleting && !isHeld(world, botLane(bot.instanceId)))
    .sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.instanceId.localeCompare(b.instanceId));
  if (homeless.length === 0) return NOTHING;

  const sightings = findBots(world);
  const steps: Step[] = [];
  const held: Held[] = [];
  for (const bot of homeless) {
    const sighting = sightings.get(bot.instanceId);
    const search = sighting === undefined ? rooms.find(bot, wishOf(bot)) : rooms.adopt(bot, sighting);
    if (search.kind === 'noPorts' && canBeAlone(rooms, bot))
      steps.push({ kind: 'fallBack', bot: bot.instanceId, reason: 'ports', why: search.why });
    else if (search.kind !== 'found') held.push({ target: bot.instanceId, why: search.why });
    else steps.push(...search.steps, { kind: 'assign', bot: bot.instanceId, placement: search.placement });
  }
  return { steps, held };
}

/** Gives every bot that is to move a slot to go to, beside the one it has. */
export function planDestinations(world: World, rooms: Rooms): Plan {
  return joinPlans(
    world.state.bots.records.flatMap((bot): Plan[] => {
      const { instanceId, move, deleting } = bot;
      if (move === null || move.phase !== 'preparing' || move.other !== null || deleting) return [];
      if (isHeld(world, botLane(instanceId))) return [];
      const search = rooms.find(bot, move.to);
      if (search.kind !== 'found') return [{ steps: [], held: [{ target: instanceId, why: search.why }] }];
      return [
        { steps: [...search.steps, { kind: 'claimPlace', bot: instanceId, placement: search.placement }], held: [] },
      ];
    }),
  );
}

// Private

/** A container of one bot needs a single port. */
function canBeAlone(rooms: Rooms, bot: BotRecord): boolean {
  return mayFallBack(bot) && rooms.find(bot, { kind: 'alone' }).kind === 'found';
}

const wishOf = ({ legacy }: BotRecord): { readonly kind: 'pool' | 'alone' } =>
  legacy === null ? { kind: 'pool' } : { kind: 'alone' };
