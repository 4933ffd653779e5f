import type { AgentObservation, BotObservation } from '../domain/agent.ts';
import type { World } from './world.ts';

/** Where a bot was seen. */
export interface Sighting {
  readonly container: string;
  readonly slot: number;
  readonly generation: number;
  readonly alive: boolean;
}

/** A stopped or never started process is dead; one waiting to be tried again counts as alive, because it may start any moment. */
export function isAlive(observed: BotObservation): boolean {
  return observed.run || observed.state !== 'stopped';
}

/** A bot as its container shows it, and what was found out about that. */
export interface Seat {
  readonly observed: BotObservation;
  readonly sighting: Sighting;
  /** Left by whoever found out; good as long as what it was made from is the same. */
  note: unknown;
}

export function observedIn(container: string, agent: AgentObservation, bot: string): Seat | undefined {
  return seatsOf(container, agent).get(bot);
}

/** Bots by id, wherever they are seen, also where the store has no claim of them. A living one hides dead ones, a newer one older ones. */
export function findBots(world: Pick<World, 'agents'>): Map<string, Sighting> {
  const found = new Map<string, Sighting>();
  for (const [container, agent] of world.agents) {
    if (agent.kind === 'unknown') continue;
    for (const [bot, { sighting }] of seatsOf(container, agent.value)) take(found, bot, sighting);
    for (const { bot, slot, generation } of agent.value.dormant)
      take(found, bot, { container, slot, generation, alive: false });
  }
  return found;
}

/** The highest generation of a bot that any container shows. */
export function highestGeneration(world: Pick<World, 'agents'>): number {
  let highest = 0;
  for (const agent of world.agents.values()) {
    if (agent.kind === 'seen') highest = Math.max(highest, highestIn(agent.value));
  }
  return highest;
}

/** Why not every place is seen in which a bot could be; null: all are. What is positively absent is no place. */
export function blindness({
  listing,
  agents,
  unreachable,
}: Pick<World, 'listing' | 'agents' | 'unreachable'>): string | null {
  if (listing.kind === 'unknown') return listing.reason;
  const [away] = unreachable.values();
  if (away !== undefined) return away;
  const hidden = [...listing.value.values()].find(({ name }) => agents.get(name)?.kind !== 'seen');
  return hidden === undefined ? null : `${hidden.name} cannot be asked`;
}

// Private

const HIGHEST = new WeakMap<AgentObservation, number>();

function highestIn(agent: AgentObservation): number {
  const known = HIGHEST.get(agent);
  if (known !== undefined) return known;
  const all = [...agent.bots, ...agent.dormant];
  const highest = all.reduce((most, { generation }) => Math.max(most, generation), 0);
  HIGHEST.set(agent, highest);
  return highest;
}

function take(found: Map<string, Sighting>, bot: string, sighting: Sighting): void {
  const known = found.get(bot);
  if (known === undefined || isBetter(sighting, known)) found.set(bot, sighting);
}

function isBetter(sighting: Sighting, known: Sighting): boolean {
  return sighting.alive === known.alive ? sighting.generation > known.generation : sighting.alive;
}

type Seats = ReadonlyMap<string, Seat>;

/** Most containers are not asked again in a pass, so what was found out about an observation is kept as long as it is. */
const SEATS = new WeakMap<AgentObservation, Seats>();

function seatsOf(container: string, agent: AgentObservation): Seats {
  const known = SEATS.get(agent);
  if (known !== undefined) return known;
  const seats = new Map(agent.bots.map((bot) => [bot.bot, seatOf(container, bot)]));
  SEATS.set(agent, seats);
  return seats;
}

function seatOf(container: string, observed: BotObservation): Seat {
  const { slot, generation } = observed;
  return { observed, sighting: { container, slot, generation, alive: isAlive(observed) }, note: null };
}
