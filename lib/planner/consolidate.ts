import { wantsProcess } from '../domain/bot.ts';
import type { ContainerRecord } from '../domain/container.ts';
import { isUnderWay } from '../domain/upgrade.ts';
import { deriveState } from './bot-state.ts';
import { type Claims, isToMove, obstacleOf } from './departures.ts';
import type { Job } from './emptying-jobs.ts';
import { NOTHING, type Plan, type World } from './world.ts';

const HOUR_MS = 3_600_000;

/** A pool that got a container lately is growing: what is half empty now may be full soon. */
const SETTLED_MS = HOUR_MS;

/** Containers with more bots than that part of their slots are left alone. */
const HALF = 1 / 2;

/** So much of a container stays free in the others: the next bots must not need a new one. */
const SLACK = 1 / 4;

const PATIENT = { force: false, failed: () => ({ count: 0, wait: null }) };

/**
 * Closes the container whose bots are fewest and fit into the others of its pool, one at a time, and opens it again when they do
 * not fit any more. Only while all is well and nothing else goes on.
 */
export function planConsolidation(world: World, claims: Claims): Plan {
  const perHour = world.limits.consolidateMovesPerHour;
  const underWay = beingMerged(world);
  if (underWay !== undefined) return planReopening(world, underWay, claims);
  if (perHour === 0 || !isDue(world) || unrest(world) !== null) return NOTHING;
  const candidates = open(world).filter((container) => isWorthIt(world, container, claims));
  const [fewest] = candidates.sort((a, b) => botsIn(claims, a) - botsIn(claims, b) || b.generation - a.generation);
  if (fewest === undefined) return NOTHING;
  const { name: container } = fewest;
  return { steps: [{ kind: 'consolidate', container, bots: botsIn(claims, fewest) }], held: [] };
}

/** The moves out of the container that is merged into others. */
export function consolidationJob(world: World, claims: Claims): Job[] {
  const container = beingMerged(world);
  if (container === undefined || !fits(world, container, claims)) return [];
  const { name } = container;
  return [
    {
      ...PATIENT,
      cause: () => ({ kind: 'consolidate', container: name }),
      containers: [container],
      free: isDue(world) && unrest(world) === null ? 1 : 0,
    },
  ];
}

// Private

/** A moment that is yet to come is of a clock that was set back. Sweeps will find that it is due. */
function isDue({ state, limits, now }: World): boolean {
  const perHour = limits.consolidateMovesPerHour;
  if (perHour === 0) return false;
  const elapsedMs = now - state.consolidatedAt;
  return elapsedMs < 0 || elapsedMs >= HOUR_MS / perHour;
}

const isShared = ({ soleBot, removing }: ContainerRecord): boolean => soleBot === null && !removing;

function beingMerged({ state }: World): ContainerRecord | undefined {
  return Object.values(state.containers).find(
    (container) => isShared(container) && container.emptying?.why === 'consolidate',
  );
}

function open({ state }: World): ContainerRecord[] {
  return Object.values(state.containers).filter((container) => isShared(container) && container.emptying === null);
}

const botsIn = (claims: Claims, { name }: ContainerRecord): number => (claims.get(name) ?? []).length;

function planReopening(world: World, container: ContainerRecord, claims: Claims): Plan {
  if (fits(world, container, claims)) return NOTHING;
  return { steps: [{ kind: 'reopenContainer', container: container.name }], held: [] };
}

/** Whether what is left in it has room in the others, without what is kept free there. */
function fits(world: World, container: ContainerRecord, claims: Claims): boolean {
  return botsIn(claims, container) <= roomBeside(world, container, claims);
}

function roomBeside(world: World, container: ContainerRecord, claims: Claims): number {
  const others = open(world).filter(({ name, pool }) => pool === container.pool && name !== container.name);
  return others.reduce((sum, other) => sum + other.capacity - botsIn(claims, other), 0);
}

function isWorthIt(world: World, container: ContainerRecord, claims: Claims): boolean {
  const { pool, capacity } = container;
  const bots = claims.get(container.name) ?? [];
  if (bots.length > capacity * HALF) return false;
  if (roomBeside(world, container, claims) < bots.length + Math.ceil(capacity * SLACK)) return false;
  if (bots.some((bot) => isToMove(bot, container) && obstacleOf(world, { ...PATIENT, force: true }, bot) !== null))
    return false;
  const newest = open(world).filter((other) => other.pool === pool);
  return newest.every(({ createdAt }) => world.now - Date.parse(createdAt) >= SETTLED_MS);
}

/** What speaks against moving anybody who need not move; null: all is well. */
function unrest(world: World): string | null {
  const { state, listing, unreachable, agents } = world;
  if (listing.kind === 'unknown' || unreachable.size > 0) return 'not everything can be seen';
  if (Object.values(state.upgrades).some(isUnderWay)) return 'an upgrade is under way';
  if (Object.values(state.containers).some(({ emptying }) => emptying !== null && emptying.why !== 'consolidate'))
    return 'a container is being emptied';
  if (Object.keys(state.containers).some((name) => agents.get(name)?.kind !== 'seen'))
    return 'not every container answers';
  const unwell = state.bots.records.find(
    (bot) => bot.move !== null || (wantsProcess(bot) && deriveState(world, bot).state !== 'running'),
  );
  return unwell === undefined ? null : `${unwell.instanceId} is not well`;
}
