import { type BotRecord, placesOf, poolKey, poolLocation } from '../domain/bot.ts';
import { type NewContainer, slotPort } from '../domain/container.ts';
import type { Destination } from '../domain/move.ts';
import type { Placement } from '../domain/placement.ts';
import { containerLane, type Step } from '../domain/steps.ts';
import { designContainer } from './new-container.ts';
import type { Sighting } from './sightings.ts';
import type { World } from './world.ts';

/** Of a bot, what decides where it may be. */
export type Guest = Pick<BotRecord, 'instanceId' | 'template' | 'group' | 'location' | 'placement' | 'legacy'>;

export type Search =
  /** `steps`: what must be in the store before the slot can be claimed. */
  | { readonly kind: 'found'; readonly placement: Placement; readonly steps: readonly Step[] }
  | { readonly kind: 'none'; readonly why: string }
  /** It would need a container that there are no ports for. */
  | { readonly kind: 'noPorts'; readonly why: string };

/** A container as a place for bots: its record and the slots that are claimed or seen occupied. */
interface Room {
  readonly container: NewContainer;
  readonly taken: Set<number>;
}

/**
 * The containers of a world as places for bots. What was found counts as claimed at once, so whoever looks for slots in one
 * plan shares one of these. Containers that are to be removed are not among them.
 */
export class Rooms {
  readonly #world: World;
  #all: Room[] | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  /** A free slot for a bot where it wants to be, never in the container it has a slot in. */
  find(bot: Guest, to: Destination): Search {
    switch (to.kind) {
      case 'pool':
        return this.#shared(bot, poolKey(bot));
      case 'alone':
        return this.#alone(bot, poolKey(bot));
      case 'location': {
        const pool = poolKey({ ...bot, location: to.location });
        return bot.legacy === null ? this.#shared(bot, pool) : this.#alone(bot, pool);
      }
      case 'container':
        return this.#named(bot, to.container);
    }
  }

  /** The slot in which a bot is seen although no claim says so. */
  adopt(bot: Guest, { container, slot }: Sighting): Search {
    const room = this.#rooms.find((candidate) => candidate.container.name === container);
    if (room !== undefined && room.container.pool === poolKey(bot) && isFor(room, bot) && this.#isReachable(room))
      return found(room, slot);
    return none(
      `is in ${container} already, which is not open to it; once that container is stopped it gets another place`,
    );
  }

  // Private

  /** Made when somebody needs it: in most passes every bot has its place. */
  get #rooms(): Room[] {
    this.#all ??= roomsOf(this.#world);
    return this.#all;
  }

  /** The fullest container first, so that there are no more than bots need. */
  #shared(bot: Guest, pool: string): Search {
    const open = this.#rooms
      .filter((room) => room.container.pool === pool && room.container.soleBot === null && isFree(room, bot))
      .filter((room) => this.#isReachable(room))
      .sort((a, b) => b.taken.size - a.taken.size || a.container.basePort - b.container.basePort);
    return this.#unlessAway(pool) ?? this.#take(open[0]) ?? this.#make(bot, pool, null);
  }

  /** One that was made for it and never entered comes first, also when that is not there yet: another would not be sooner. */
  #alone(bot: Guest, pool: string): Search {
    const own = this.#rooms.find(
      (room) => room.container.soleBot === bot.instanceId && room.container.pool === pool && isFree(room, bot),
    );
    return this.#unlessAway(pool) ?? this.#take(own) ?? this.#make(bot, pool, bot.instanceId);
  }

  #named(bot: Guest, name: string): Search {
    const room = this.#rooms.find(({ container }) => container.name === name);
    if (room === undefined) return none(`there is no container ${name} to go to`);
    const { pool, emptying, capacity } = room.container;
    if (name === bot.placement?.container) return none(`is in ${name} already`);
    if (pool !== poolKey({ ...bot, location: poolLocation(pool) }))
      return none(`${name} is of another template or group`);
    if (!isFor(room, bot)) return none(`${name} is another bot's alone`);
    if (emptying !== null) return none(`${name} is being emptied`);
    if (!this.#isReachable(room)) return none(`${name} cannot be reached now`);
    if (room.taken.size >= capacity) return none(`${name} is full`);
    return this.#unlessAway(pool) ?? found(room, lowestFreeSlot(room));
  }

  #unlessAway(pool: string): Search | null {
    const why = this.#world.unreachable.get(poolLocation(pool));
    return why === undefined ? null : none(why);
  }

  #take(room: Room | undefined): Search | null {
    return room === undefined ? null : found(room, lowestFreeSlot(room));
  }

  #make({ template }: Guest, pool: string, soleBot: string | null): Search {
    const world = this.#world;
    const made = this.#rooms.map(({ container }) => container);
    const container = designContainer(world, made, { template, pool, soleBot });
    if (container === null)
      return { kind: 'noPorts', why: `no free range of ports at or above ${world.limits.basePort}` };
    const lane = containerLane(container.name);
    const hold = world.holds.get(lane);
    if (world.busy.has(lane) || (hold?.until ?? 0) > world.monotonic) return none(hold?.reason ?? '');
    const room = { container, taken: new Set<number>() };
    this.#rooms.push(room);
    return found(room, 0, [{ kind: 'recordContainer', container }]);
  }

  /** Not yet made, or seen running: anything else may be broken, and a new bot should not wait for it. */
  #isReachable({ container: { name } }: Room): boolean {
    const { listing, holds, agents } = this.#world;
    if (listing.kind === 'unknown' || holds.has(containerLane(name))) return false;
    const observed = listing.value.get(name);
    if (observed === undefined || observed.status === 'stopped') return true;
    return observed.status === 'running' && agents.get(name)?.kind !== 'unknown';
  }
}

// Private

/** A slot that a bot on its way has left is its own until it has arrived: it may come back, and its data is there. */
function roomsOf({ state, agents }: World): Room[] {
  const rooms = new Map<string, Room>();
  for (const container of Object.values(state.containers)) {
    if (!container.removing) rooms.set(container.name, { container, taken: new Set() });
  }
  for (const bot of state.bots.records) {
    for (const { container, slot } of placesOf(bot)) rooms.get(container)?.taken.add(slot);
  }
  for (const [name, agent] of agents) {
    if (agent.kind === 'seen') for (const bot of agent.value.bots) rooms.get(name)?.taken.add(bot.slot);
  }
  return [...rooms.values()];
}

const isFor = ({ container: { soleBot } }: Room, { instanceId }: Guest): boolean =>
  soleBot === null || soleBot === instanceId;

/** Whether another bot may come in, and this one does not come from there. */
function isFree({ container, taken }: Room, { placement }: Guest): boolean {
  return container.emptying === null && taken.size < container.capacity && container.name !== placement?.container;
}

/** Of a room that is not full. */
function lowestFreeSlot({ taken }: Room): number {
  let slot = 0;
  while (taken.has(slot)) slot++;
  return slot;
}

function found(room: Room, slot: number, steps: readonly Step[] = []): Search {
  room.taken.add(slot);
  const placement = { container: room.container.name, slot, port: slotPort(room.container, slot) };
  return { kind: 'found', placement, steps };
}

const none = (why: string): Search => ({ kind: 'none', why });
