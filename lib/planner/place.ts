import { type BotRecord, poolKey } from '../domain/bot.ts';
import { type NewContainer, slotPort } from '../domain/container.ts';
import type { Placement } from '../domain/placement.ts';
import { botLane, containerLane, type Step } from '../domain/steps.ts';
import { freeRange } from './ports.ts';
import { findBots, type Sighting } from './sightings.ts';
import { type Held, NOTHING, type Plan, type World } from './world.ts';

/** A container as placement sees it: its record and the slots that are claimed or seen occupied. */
interface Room {
  readonly container: NewContainer;
  readonly taken: Set<number>;
}

/**
 * Gives every bot without a place a slot: the fullest container of its pool first, lowest slot first; a new container
 * when all are full. Containers just recorded count at once, so many bots at a time fill them instead of making more.
 */
export function planPlacement(world: World): Plan {
  const homeless = world.state.bots.records
    .filter((bot) => bot.placement === null && !bot.deleting && !isHeld(world, botLane(bot.instanceId)))
    .sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.instanceId.localeCompare(b.instanceId));
  if (homeless.length === 0) return NOTHING;

  const rooms = openRooms(world);
  const sightings = findBots(world);
  const steps: Step[] = [];
  const held: Held[] = [];
  for (const bot of homeless) {
    const sighting = sightings.get(bot.instanceId);
    const place = sighting === undefined ? findSlot(world, rooms, bot, steps) : adopt(rooms, bot, sighting);
    if (typeof place === 'string') held.push({ target: bot.instanceId, why: place });
    else steps.push({ kind: 'assign', bot: bot.instanceId, placement: place });
  }
  return { steps, held };
}

// Private

function isHeld(world: World, lane: string): boolean {
  return world.busy.has(lane) || (world.holds.get(lane)?.until ?? 0) > world.monotonic;
}

/** A bot that is in a container although no claim says so (an older store was restored) stays there: elsewhere it would run twice. */
function adopt(rooms: readonly Room[], bot: BotRecord, { container, slot }: Sighting): Placement | string {
  const room = rooms.find((candidate) => candidate.container.name === container);
  if (room !== undefined && room.container.pool === poolKey(bot)) return claim(room, slot);
  return `is in ${container} already, which is not open to it; once that container is stopped it gets another place`;
}

/** A free slot, or why there is none. A new container it needs is added to the rooms and the steps. */
function findSlot(world: World, rooms: Room[], bot: BotRecord, steps: Step[]): Placement | string {
  const unreachable = world.unreachable.get(bot.location);
  if (unreachable !== undefined) return unreachable;
  const room = fullestRoom(rooms, poolKey(bot)) ?? newRoom(world, rooms, bot);
  if (typeof room === 'string') return room;
  if (!rooms.includes(room)) {
    rooms.push(room);
    steps.push({ kind: 'recordContainer', container: room.container });
  }
  return claim(room, lowestFreeSlot(room));
}

/** Containers that may take a bot: not on their way out, and not known to be out of reach. */
function openRooms(world: World): Room[] {
  const rooms = new Map<string, Room>();
  for (const container of Object.values(world.state.containers)) {
    rooms.set(container.name, { container, taken: new Set() });
  }
  for (const bot of world.state.bots.records) {
    if (bot.placement !== null) rooms.get(bot.placement.container)?.taken.add(bot.placement.slot);
  }
  for (const [name, agent] of world.agents) {
    if (agent.kind === 'seen') for (const bot of agent.value.bots) rooms.get(name)?.taken.add(bot.slot);
  }
  return [...rooms.values()].filter((room) => !room.container.removing && isReachable(world, room.container.name));
}

/** Not yet made, or seen running: anything else may be broken, and a new bot should not wait for it. */
function isReachable(world: World, name: string): boolean {
  if (world.listing.kind === 'unknown' || world.holds.has(containerLane(name))) return false;
  const observed = world.listing.value.get(name);
  if (observed === undefined || observed.status === 'stopped') return true;
  return observed.status === 'running' && world.agents.get(name)?.kind !== 'unknown';
}

function fullestRoom(rooms: readonly Room[], pool: string): Room | null {
  const open = rooms
    .filter((room) => room.container.pool === pool && room.taken.size < room.container.capacity)
    .sort((a, b) => b.taken.size - a.taken.size || a.container.basePort - b.container.basePort);
  return open[0] ?? null;
}

function newRoom(world: World, rooms: readonly Room[], bot: BotRecord): Room | string {
  const template = world.templates.get(bot.template);
  const capacity = template?.capacity ?? world.limits.maxBotsPerContainer;
  const made = rooms.map((room) => room.container);
  const basePort = freeRange(world.limits.basePort, capacity, [...knownRanges(world), ...made], world.blockedPorts);
  if (basePort === null) return `no free range of ports at or above ${world.limits.basePort}`;
  const name = freshName(world, bot.template, made);
  if (isHeld(world, containerLane(name))) return world.holds.get(containerLane(name))?.reason ?? '';
  const container: NewContainer = {
    name,
    pool: poolKey(bot),
    capacity,
    basePort,
    image: template?.image ?? null,
    removing: false,
    soleBot: null,
    emptying: null,
    createdAt: new Date(world.now).toISOString(),
  };
  return { container, taken: new Set() };
}

/** Ranges of recorded and of observed containers: one the store forgot still holds its ports. */
function knownRanges(world: World): { basePort: number; capacity: number }[] {
  const observed = world.listing.kind === 'seen' ? [...world.listing.value.values()] : [];
  return [...Object.values(world.state.containers), ...observed];
}

function freshName(world: World, template: string, made: readonly NewContainer[]): string {
  const observed = world.listing.kind === 'seen' ? [...world.listing.value.keys()] : [];
  const names = new Set([
    ...Object.keys(world.state.containers),
    ...observed,
    ...made.map((container) => container.name),
  ]);
  for (let number = 1; ; number++) {
    const name = `${world.limits.instanceName}-${template}-${number}`;
    if (!names.has(name)) return name;
  }
}

/** Of a room that is not full. */
function lowestFreeSlot({ taken }: Room): number {
  let slot = 0;
  while (taken.has(slot)) slot++;
  return slot;
}

function claim(room: Room, slot: number): Placement {
  room.taken.add(slot);
  return { container: room.container.name, slot, port: slotPort(room.container, slot) };
}
