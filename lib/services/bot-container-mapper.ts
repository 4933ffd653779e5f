import { type BotRecord, type Desired, poolKey } from '../domain/bot.ts';
import type { ContainerObservation, ContainerRecord, NewContainer } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { ownsBot } from '../domain/migration.ts';
import type { Placement } from '../domain/placement.ts';
import type { State } from '../domain/state.ts';
import type { Change } from '../store/store.ts';

/**
 * The changes of bots and containers in the store, each a pure compare-and-set: it checks what must still hold, or throws
 * and changes nothing.
 */

export type NewBot = Omit<
  BotRecord,
  | 'generation'
  | 'restartGeneration'
  | 'desiredGeneration'
  | 'controlledGeneration'
  | 'placement'
  | 'deleting'
  | 'archive'
  | 'restore'
  | 'move'
>;

/** The change, unless the bot is on its way from or to a deployment of old: nobody else may start or change it meanwhile. */
export function unlessMigrating<T>(instanceId: string, change: Change<T>): Change<T> {
  return (state) => {
    const migration = state.migrations.get(instanceId);
    if (migration === undefined || !ownsBot(migration)) return change(state);
    const why = `${instanceId} is being brought over or back (${migration.phase}); wait until it is done`;
    throw new BunkhouseError('CONFLICT', why);
  };
}

export function findBot(state: State, instanceId: string): BotRecord {
  const bot = state.bots.get(instanceId);
  if (bot === undefined) throw new BunkhouseError('NOT_FOUND', `there is no bot ${instanceId}`);
  return bot;
}

export function addBot(bot: NewBot): Change<BotRecord> {
  return (state) => {
    if (state.bots.has(bot.instanceId)) {
      throw new BunkhouseError(
        'CONFLICT',
        `there is a bot ${bot.instanceId} already; choose another instanceId or change that one`,
      );
    }
    const generation = state.generation + 1;
    const record: BotRecord = {
      ...bot,
      deleting: false,
      archive: null,
      restore: null,
      move: null,
      placement: null,
      generation,
      restartGeneration: generation,
      desiredGeneration: generation,
      controlledGeneration: 0,
    };
    return { state: { ...putBot(state, record), generation }, result: record };
  };
}

/** Changes what the container must hear of: the bot gets a new generation. `restart`: a living process is replaced. */
export function reviseBot(
  instanceId: string,
  revise: (bot: BotRecord) => Partial<BotRecord>,
  restart: boolean,
): Change<BotRecord> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.deleting) throw new BunkhouseError('CONFLICT', `${instanceId} is being deleted`);
    const generation = state.generation + 1;
    const record: BotRecord = {
      ...bot,
      ...revise(bot),
      generation,
      restartGeneration: restart ? generation : bot.restartGeneration,
    };
    return { state: { ...putBot(state, record), generation }, result: record };
  };
}

export function setDesired(instanceId: string, desired: Desired): Change<{ bot: BotRecord; changed: boolean }> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.desired === desired && !bot.deleting) return { state, result: { bot, changed: false } };
    const revised = reviseBot(instanceId, () => ({ desired, desiredGeneration: state.generation + 1 }), false)(state);
    return { state: revised.state, result: { bot: revised.result, changed: true } };
  };
}

export function markDeleting(instanceId: string): Change<BotRecord> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.deleting) return { state, result: bot };
    return reviseBot(instanceId, () => ({ deleting: true }), false)(state);
  };
}

/** A slot for a bot. */
export interface Claim {
  readonly bot: string;
  readonly placement: Placement;
}

/** Claims a slot: only for a bot without one, only in a container that has it free. */
export function assignBot(bot: string, placement: Placement): Change<BotRecord> {
  return (state) => assign(state, { bot, placement }, takenSlots(state));
}

/** Many claims in one go, because each alone would look at all slots. One that cannot be is answered with its error. */
export function assignBots(claims: readonly Claim[]): Change<readonly (BotRecord | BunkhouseError)[]> {
  return (before) => {
    const taken = takenSlots(before);
    let state = before;
    const result = claims.map((claim) => {
      try {
        const assigned = assign(state, claim, taken);
        state = assigned.state;
        taken.add(keyOf(claim.placement));
        return assigned.result;
      } catch (error) {
        if (error instanceof BunkhouseError) return error;
        throw error;
      }
    });
    return { state, result };
  };
}

/** Notes a fact about a bot that its container need not hear of. */
export function noteOnBot(
  instanceId: string,
  facts: Partial<Pick<BotRecord, 'archive' | 'restore' | 'controlledGeneration'>>,
): Change<void> {
  return (state) => ({ state: putBot(state, { ...findBot(state, instanceId), ...facts }), result: undefined });
}

/** A container knows a higher generation than the store (an older state was restored): go above it, so that it listens again. */
export function overtakeGeneration(instanceId: string, seen: number): Change<void> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.generation > seen) return { state, result: undefined };
    const generation = Math.max(state.generation, seen) + 1;
    return { state: { ...putBot(state, { ...bot, generation }), generation }, result: undefined };
  };
}

export function forgetBot(instanceId: string): Change<BotRecord> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (!bot.deleting) throw new BunkhouseError('CONFLICT', `${instanceId} is not being deleted`);
    return { state: { ...state, bots: state.bots.drop(instanceId) }, result: bot };
  };
}

export function addContainer(container: NewContainer): Change<ContainerRecord> {
  return (state) => {
    const end = container.basePort + container.capacity;
    const clash = Object.values(state.containers).find(
      (other) =>
        other.name === container.name || (container.basePort < other.basePort + other.capacity && other.basePort < end),
    );
    if (clash !== undefined) throw new BunkhouseError('CONFLICT', `${clash.name} has that name or some of these ports`);
    const generation = state.generation + 1;
    const record: ContainerRecord = { ...container, generation };
    return { state: { ...putContainer(state, record), generation }, result: record };
  };
}

/** Only an empty container may be marked for removal; from then on no bot is placed in it. */
export function markRemoving(name: string): Change<void> {
  return (state) => {
    const container = findContainer(state, name);
    if (state.bots.records.some((bot) => bot.placement?.container === name)) {
      throw new BunkhouseError('CONFLICT', `${name} has bots`);
    }
    return { state: putContainer(state, { ...container, removing: true }), result: undefined };
  };
}

/** A container of ours that no record knows gets one, so that the passes remove it. */
export function adoptForRemoval(found: ContainerObservation, now: number): Change<void> {
  const { name, pool, capacity, basePort, generation } = found;
  const record: ContainerRecord = {
    name,
    pool,
    capacity,
    basePort,
    generation,
    image: null,
    removing: true,
    soleBot: null,
    emptying: null,
    createdAt: new Date(now).toISOString(),
  };
  return (state) => ({ state: putContainer(state, record), result: undefined });
}

export function forgetContainer(name: string): Change<void> {
  return (state) => {
    if (!findContainer(state, name).removing) throw new BunkhouseError('CONFLICT', `${name} is not being removed`);
    const { [name]: _, ...containers } = state.containers;
    return { state: { ...state, containers }, result: undefined };
  };
}

// Private

function findContainer(state: State, name: string): ContainerRecord {
  const container = state.containers[name];
  if (container === undefined || !Object.hasOwn(state.containers, name)) {
    throw new BunkhouseError('NOT_FOUND', `there is no container ${name}`);
  }
  return container;
}

function assign(
  state: State,
  { bot: instanceId, placement }: Claim,
  taken: ReadonlySet<string>,
): { readonly state: State; readonly result: BotRecord } {
  const bot = findBot(state, instanceId);
  if (bot.placement !== null) throw new BunkhouseError('CONFLICT', `${instanceId} has a slot already`);
  const container = findContainer(state, placement.container);
  if (container.removing) throw new BunkhouseError('CONFLICT', `${container.name} is being removed`);
  if (container.pool !== poolKey(bot)) throw new BunkhouseError('CONFLICT', `${container.name} is of another pool`);
  if (placement.slot >= container.capacity || taken.has(keyOf(placement))) {
    throw new BunkhouseError('CONFLICT', `slot ${placement.slot} of ${container.name} is not free`);
  }
  const generation = state.generation + 1;
  const record: BotRecord = { ...bot, placement, generation };
  return { state: { ...putBot(state, record), generation }, result: record };
}

function takenSlots({ bots }: State): Set<string> {
  return new Set(bots.records.flatMap(({ placement }) => (placement === null ? [] : [keyOf(placement)])));
}

const keyOf = ({ container, slot }: Placement): string => `${container}/${slot}`;

export const putBot = (state: State, bot: BotRecord): State => ({
  ...state,
  bots: state.bots.put(bot.instanceId, bot),
});

const putContainer = (state: State, container: ContainerRecord): State => ({
  ...state,
  containers: { ...state.containers, [container.name]: container },
});
