import { type BotRecord, type Desired, generationAt, isIn, placesOf, poolKey } from '../domain/bot.ts';
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
    const next = state.generation + 1;
    // While it arrives somewhere it is held still anyway, and what comes after that has a new generation (see placedGeneration).
    const generation = bot.move?.phase === 'arriving' ? bot.generation : next;
    const record: BotRecord = {
      ...bot,
      ...revise(bot),
      generation,
      restartGeneration: restart ? generation : bot.restartGeneration,
    };
    return { state: { ...putBot(state, record), generation: next }, result: record };
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
    // The other place of a bot on its way knows one less.
    const spread = bot.move === null ? 0 : 1;
    if (bot.generation - spread > seen) return { state, result: undefined };
    const generation = Math.max(state.generation, seen) + 1 + spread;
    // What was carried may be older than what is there.
    const move = bot.move?.phase === 'carrying' ? { ...bot.move, archive: null } : bot.move;
    return { state: { ...putBot(state, { ...bot, generation, move }), generation }, result: undefined };
  };
}

/** Generations go on above what any container was told. */
export function raiseGeneration(to: number): Change<void> {
  return (state) => ({ state: { ...state, generation: Math.max(state.generation, to) }, result: undefined });
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
    checkUnclaimed(state, container);
    const generation = state.generation + 1;
    const record: ContainerRecord = { ...container, generation };
    return { state: { ...putContainer(state, record), generation }, result: record };
  };
}

/**
 * Notes that a container hears of a bot, before it does: from then on something of bots may be there. False: the bot has no place
 * there any more, or is another by now.
 */
export function enterContainer(name: string, bot: string, generation: number): Change<boolean> {
  return (state) => {
    const record = state.bots.get(bot);
    const isMeant = record !== undefined && generationAt(record, name) === generation;
    const container = findContainer(state, name);
    if (!isMeant || container.entered) return { state, result: isMeant };
    return { state: putContainer(state, { ...container, entered: true }), result: true };
  };
}

/** Only an empty container may be marked for removal; from then on no bot is placed in it. */
export function markRemoving(name: string): Change<void> {
  return (state) => {
    const container = findContainer(state, name);
    if (state.bots.records.some((bot) => isIn(bot, name))) {
      throw new BunkhouseError('CONFLICT', `${name} has bots`);
    }
    return { state: putContainer(state, { ...container, removing: true }), result: undefined };
  };
}

/** A container of ours that no record knows gets one, so that the passes remove it. */
export function adoptForRemoval(found: ContainerObservation, now: number): Change<void> {
  return (state) => ({ state: putContainer(state, recordOf(found, true, now)), result: undefined });
}

/** The same of one that is to stay, because a bot lives there. Throws CONFLICT when its name or ports are another's by now. */
export function adoptContainer(found: ContainerObservation, now: number): Change<void> {
  return (state) => {
    checkUnclaimed(state, found);
    const generation = Math.max(state.generation, found.generation);
    return { state: { ...putContainer(state, recordOf(found, false, now)), generation }, result: undefined };
  };
}

export function forgetContainer(name: string): Change<void> {
  return (state) => {
    if (!findContainer(state, name).removing) throw new BunkhouseError('CONFLICT', `${name} is not being removed`);
    const { [name]: _, ...containers } = state.containers;
    return { state: { ...state, containers }, result: undefined };
  };
}

// Private

function checkUnclaimed(
  { containers }: State,
  { name, basePort, capacity }: Pick<ContainerRecord, 'name' | 'basePort' | 'capacity'>,
): void {
  const end = basePort + capacity;
  const clash = Object.values(containers).find(
    (other) => other.name === name || (basePort < other.basePort + other.capacity && other.basePort < end),
  );
  if (clash !== undefined) throw new BunkhouseError('CONFLICT', `${clash.name} has that name or some of these ports`);
}

function recordOf(found: ContainerObservation, removing: boolean, now: number): ContainerRecord {
  const { name, pool, capacity, basePort, generation } = found;
  const createdAt = new Date(now).toISOString();
  const rest = { image: null, soleBot: null, emptying: null, entered: true };
  return { name, pool, capacity, basePort, generation, removing, ...rest, createdAt };
}

export function findContainer(state: State, name: string): ContainerRecord {
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
  checkFree(state, bot, placement, taken);
  const generation = state.generation + 1;
  const record: BotRecord = { ...bot, placement, generation };
  return { state: { ...putBot(state, record), generation }, result: record };
}

/** Throws CONFLICT unless the bot may have that slot: it is free, and of the bot's pool. */
export function checkFree(
  state: State,
  bot: Pick<BotRecord, 'instanceId' | 'template' | 'group' | 'location'>,
  placement: Placement,
  taken: ReadonlySet<string> = takenSlots(state),
): void {
  const container = findContainer(state, placement.container);
  if (container.removing) throw new BunkhouseError('CONFLICT', `${container.name} is being removed`);
  if (container.pool !== poolKey(bot)) throw new BunkhouseError('CONFLICT', `${container.name} is of another pool`);
  if (container.soleBot !== null && container.soleBot !== bot.instanceId)
    throw new BunkhouseError('CONFLICT', `${container.name} is for ${container.soleBot} alone`);
  if (placement.slot >= container.capacity || taken.has(keyOf(placement))) {
    throw new BunkhouseError('CONFLICT', `slot ${placement.slot} of ${container.name} is not free`);
  }
}

function takenSlots({ bots }: State): Set<string> {
  return new Set(bots.records.flatMap((bot) => placesOf(bot).map(keyOf)));
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
