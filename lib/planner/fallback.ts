import { type BotRecord, poolLocation } from '../domain/bot.ts';
import type { ContainerRecord } from '../domain/container.ts';
import type { ErrorCode } from '../domain/errors.ts';
import type { FallbackReason } from '../domain/move.ts';
import { botLane, containerLane, type Step } from '../domain/steps.ts';
import { isHeld } from './decisions.ts';
import { tenantsOf } from './emptiness.ts';
import { imageOf } from './new-container.ts';
import type { Rooms } from './rooms.ts';
import { NOTHING, type Plan, type World } from './world.ts';

/** Failures in a row after which a container counts as one that cannot be made, where the first does not say so for good. */
const PATIENCE = 3;

/** The engine is away, which says nothing of the container; no other could be made now. */
const OF_THE_ENGINE: ReadonlySet<ErrorCode> = new Set(['DRIVER_UNAVAILABLE', 'DEADLINE']);

/** It has no image, or one that is not there. */
const OF_THE_IMAGE: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'UNSUPPORTED']);

interface Trouble {
  readonly reason: FallbackReason;
  readonly why: string;
}

/**
 * Bots whose shared container cannot be made are to be alone: only where that is proven to be absent and never heard of any
 * bot. Whoever has been somewhere waits for that place whatever happens, because it may still run or have its data there.
 * One that is to be alone for that reason and cannot be either goes back as soon as the pool has room.
 */
export function planFallback(world: World, rooms: Rooms): Plan {
  if (world.failures.size === 0) return NOTHING;
  const steps = Object.values(world.state.containers).flatMap((container) => {
    const trouble = isUnmade(world, container) ? troubleOf(world, container) : null;
    if (trouble === null) return [];
    const bots = world.state.bots.records.filter((bot) => isStranded(world, bot, container.name));
    return container.soleBot === null ? fallBack(bots, trouble) : rejoin(world, rooms, bots);
  });
  return { steps, held: [] };
}

/** Whether it may be alone because the pool cannot take it. Nobody waits for what the reserve is to have. */
export function mayFallBack({ legacy, reserve, deleting, move }: BotRecord): boolean {
  return legacy === null && reserve === null && !deleting && move === null;
}

/** A shared container that cannot be made and that nobody waits for; the next bot makes another. */
export function isGivenUp(world: World, container: ContainerRecord): boolean {
  const { soleBot, name } = container;
  if (soleBot !== null || !world.failures.has(containerLane(name))) return false;
  return isUnmade(world, container) && tenantsOf(world, name) === 0;
}

// Private

/** Positively absent, nothing under way, and nothing of any bot was ever in it. */
function isUnmade(world: World, { name, pool, entered, removing }: ContainerRecord): boolean {
  const { listing, unreachable, busy } = world;
  if (entered || removing || listing.kind === 'unknown') return false;
  return !listing.value.has(name) && !unreachable.has(poolLocation(pool)) && !busy.has(containerLane(name));
}

/** Why it counts as one that cannot be made; null: it may well be, or one of a single bot would fare no better. */
function troubleOf(world: World, { name, pool, image, soleBot }: ContainerRecord): Trouble | null {
  const failure = world.failures.get(containerLane(name));
  if (failure === undefined || OF_THE_ENGINE.has(failure.code)) return null;
  const { code, count, reason: why } = failure;
  if (OF_THE_IMAGE.has(code)) {
    const isAnother = imageOf(world, pool.split('/')[0] ?? '', true) !== image;
    return soleBot !== null || isAnother ? { reason: 'image', why } : null;
  }
  if (count < PATIENCE) return null;
  return { reason: code === 'PORT_IN_USE' ? 'ports' : 'container', why };
}

function isStranded(world: World, { instanceId, placement }: BotRecord, container: string): boolean {
  return placement?.container === container && !isHeld(world, botLane(instanceId));
}

function fallBack(bots: readonly BotRecord[], trouble: Trouble): Step[] {
  return bots.filter(mayFallBack).map(({ instanceId }) => ({ kind: 'fallBack', bot: instanceId, ...trouble }));
}

/** Only into what is there: another container that cannot be made would send it back and forth. */
function rejoin({ listing }: World, rooms: Rooms, bots: readonly BotRecord[]): Step[] {
  return bots.flatMap((bot): Step[] => {
    if (bot.legacy?.cause !== 'fallback' || bot.deleting || bot.move !== null) return [];
    const search = rooms.find(bot, { kind: 'pool' });
    const name = search.kind === 'found' ? search.placement.container : '';
    const isThere = listing.kind === 'seen' && listing.value.get(name)?.status === 'running';
    return isThere ? [{ kind: 'rejoinPool', bot: bot.instanceId }] : [];
  });
}
