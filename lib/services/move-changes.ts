import { type BotRecord, poolKey, poolLocation } from '../domain/bot.ts';
import type { ContainerObservation } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';
import {
  type Destination,
  isSameDestination,
  type LegacyLife,
  type Move,
  type MoveCause,
  type MovePhase,
  type Place,
} from '../domain/move.ts';
import type { State } from '../domain/state.ts';
import type { Change } from '../store/store.ts';
import { isoTime } from '../util/clock.ts';
import {
  adoptContainer,
  type Claim,
  checkFree,
  findBot,
  findContainer,
  putBot,
  unlessMigrating,
} from './bot-container-mapper.ts';
import { noteMoveBegun, noteMoveEnded } from './upgrade-changes.ts';

/**
 * The changes of moves in the store, each a pure compare-and-set. One that comes too late, because the move is further or over,
 * changes nothing and answers null. Times in ms since the epoch.
 */

/**
 * From now on the bot is on its way. The same again is a no-op. Throws CONFLICT when it cannot be moved now or not to there,
 * BOT_UNAVAILABLE while it has no place. Whether its template can be moved at all is said by `whyImmovable`.
 */
export function beginMove(instanceId: string, to: Destination, cause: MoveCause, now: number): Change<BotRecord> {
  return unlessMigrating(instanceId, (state) => {
    const bot = findBot(state, instanceId);
    if (bot.move !== null && bot.move.undone === null && isSameDestination(bot.move.to, to))
      return { state, result: bot };
    checkMovable(bot);
    checkDestination(state, bot, to, cause);
    const move = freshMove(to, cause, now);
    const record: BotRecord = { ...bot, move };
    return { state: putBot(noteMoveBegun(state, cause, now), record), result: record };
  });
}

/** Claims the slot it is to go to; it keeps the one it has. Throws CONFLICT when that is not free. */
export function claimPlace({ bot: instanceId, placement }: Claim, now: number): Change<BotRecord | null> {
  return inPhase(instanceId, 'preparing', (state, bot, move) => {
    if (move.other !== null) return { state, result: null };
    const container = findContainer(state, placement.container);
    const location = poolLocation(container.pool);
    checkFree(state, { ...bot, location }, placement);
    const legacy = container.soleBot === null ? null : (bot.legacy ?? aloneSince(now));
    return renew(state, bot, 2, { move: { ...move, other: { placement, location, legacy } } });
  });
}

/** It was asked what there was to ask; from now on it is held stopped. */
export function leave(instanceId: string, facts: Move['facts'], now: number): Change<BotRecord | null> {
  return inPhase(instanceId, 'preparing', (state, bot, move) => {
    if (move.other === null) return { state, result: null };
    return renew(state, bot, 2, { move: { ...enter(move, 'leaving', now), facts, left: isoTime(now) } });
  });
}

/** It was seen stopped where its data is. */
export function beginCarrying(instanceId: string, now: number): Change<BotRecord | null> {
  return inPhase(instanceId, 'leaving', (state, bot, move) => note(state, bot, enter(move, 'carrying', now)));
}

/** Its data is whole on the orchestrator's disk. `generation`: under which it was packed. */
export function noteCarried(instanceId: string, generation: number, archive: string): Change<BotRecord | null> {
  return inPhase(instanceId, 'carrying', (state, bot, move) =>
    bot.generation === generation ? note(state, bot, { ...move, archive }) : { state, result: null },
  );
}

/** From now on its other place is its present one, where it arrives. `generation`: under which it was seen stopped. */
export function crossOver(instanceId: string, generation: number, now: number): Change<BotRecord | null> {
  return inPhase(instanceId, 'carrying', (state, bot, move) => {
    if (bot.generation !== generation || move.archive === null) return { state, result: null };
    return note(state, bot, { ...enter(move, 'arriving', now), other: placeOf(bot) }, otherPlace(bot, move));
  });
}

/** Its data is in place: it runs there from now on, if it is to run. On its way back that is where the move ends. */
export function noteArrived(instanceId: string, now: number): Change<BotRecord | null> {
  return inPhase(instanceId, 'arriving', (state, bot, move) =>
    renew(state, bot, 1, { move: enter(move, move.undone === null ? 'proving' : 'clearing', now) }),
  );
}

/** What was carried is gone from the orchestrator's disk: it is fetched once more from where it came from. */
export function carryAgain(instanceId: string, now: number): Change<BotRecord | null> {
  return inPhase(instanceId, 'arriving', (state, bot, move) => {
    const again = { ...enter(move, 'leaving', now), archive: null, other: placeOf(bot) };
    return renew(state, bot, 2, { ...otherPlace(bot, move), move: again });
  });
}

/** It has shown that it is well and has all it had. */
export function noteProven(instanceId: string, now: number): Change<BotRecord | null> {
  return inPhase(instanceId, 'proving', (state, bot, move) => {
    const noted = note(state, bot, enter(move, 'clearing', now));
    return { ...noted, state: noteMoveEnded(noted.state, instanceId, move.cause, null, now) };
  });
}

/**
 * Takes a move back, by as little as has to be: what has not run in its new place goes on in the old one with the data that never left
 * it, and what did run there is stopped and carried back. Null: it cannot be taken back any more, or is already.
 */
export function undoMove(instanceId: string, why: string, now: number): Change<BotRecord | null> {
  return (state) => {
    const bot = findBot(state, instanceId);
    const { move } = bot;
    if (move === null || move.phase === 'clearing') return { state, result: null };
    if (move.undone === null) {
      const taken = takeBack(state, bot, { ...move, undone: why }, now);
      return { ...taken, state: noteMoveEnded(taken.state, instanceId, move.cause, why, now) };
    }
    // Back is back; but a bot that is to be deleted ends where its newest data is.
    return bot.deleting && move.phase === 'arriving' ? takeBack(state, bot, move, now) : { state, result: null };
  };
}

/**
 * A container knows the bot by a newer generation than the store, of which an older copy was brought back: its newest data is there, so it
 * belongs there, and what it has in the place the store tells of is cleared. Where it was to arrive, it has arrived.
 */
export function followNewest(
  { bot: instanceId, placement }: Claim,
  { generation: seen, found }: { readonly generation: number; readonly found: ContainerObservation },
  now: number,
): Change<BotRecord | null> {
  return (before) => {
    const bot = findBot(before, instanceId);
    if (bot.generation >= seen || bot.placement === null) return { state: before, result: null };
    const state = found.name in before.containers ? before : adoptContainer(found, now)(before).state;
    const raised = { ...state, generation: Math.max(state.generation, seen) };
    if (bot.placement.container === placement.container) return noteArrived(instanceId, now)(raised);
    const container = findContainer(state, placement.container);
    const location = poolLocation(container.pool);
    checkFree({ ...state, bots: state.bots.drop(instanceId) }, { ...bot, location }, placement);
    const move: Move = { ...(bot.move ?? freshMove({ kind: 'pool' }, { kind: 'request' }, now)), other: placeOf(bot) };
    const legacy = container.soleBot === null ? null : (bot.legacy ?? aloneSince(now));
    return renew(raised, bot, 1, {
      placement,
      location,
      legacy,
      move: { ...enter(move, 'clearing', now), undone: null },
    });
  };
}

/** Nothing of it is left in its other place. */
export function finishMove(instanceId: string, container: string): Change<BotRecord | null> {
  return (state) => {
    const bot = state.bots.get(instanceId);
    const isDue = bot?.move?.phase === 'clearing' || bot?.deleting === true;
    if (!isDue || bot.move?.other?.placement.container !== container) return { state, result: null };
    return note(state, bot, null);
  };
}

// Private

type Changed = { readonly state: State; readonly result: BotRecord };

function freshMove(to: Destination, cause: MoveCause, now: number): Move {
  const nothing = { other: null, archive: null, facts: null, undone: null, left: null };
  return { to, cause, phase: 'preparing', ...nothing, since: isoTime(now) };
}

function inPhase(
  instanceId: string,
  phase: MovePhase,
  change: (state: State, bot: BotRecord, move: Move) => { readonly state: State; readonly result: BotRecord | null },
): Change<BotRecord | null> {
  return (state) => {
    const bot = state.bots.get(instanceId);
    return bot?.move?.phase === phase ? change(state, bot, bot.move) : { state, result: null };
  };
}

const enter = (move: Move, phase: MovePhase, now: number): Move => ({ ...move, phase, since: isoTime(now) });

/** Its container need not hear of it. */
function note(state: State, bot: BotRecord, move: Move | null, facts: Partial<BotRecord> = {}): Changed {
  const record: BotRecord = { ...bot, ...facts, move };
  return { state: putBot(state, record), result: record };
}

/** Its container must hear of it: the bot gets a generation that is higher by so many at least. */
function renew(state: State, bot: BotRecord, by: number, facts: Partial<BotRecord>): Changed {
  const generation = state.generation + by;
  const record: BotRecord = { ...bot, ...facts, generation };
  return { state: { ...putBot(state, record), generation }, result: record };
}

function takeBack(state: State, bot: BotRecord, move: Move, now: number): Changed {
  const clearing = enter(move, 'clearing', now);
  switch (move.phase) {
    case 'preparing':
      return note(state, bot, move.other === null ? null : clearing);
    case 'proving':
      return renew(state, bot, 2, { move: { ...enter(move, 'leaving', now), archive: null } });
    case 'arriving':
      return renew(state, bot, 1, { ...otherPlace(bot, move), move: { ...clearing, other: placeOf(bot) } });
    default:
      return renew(state, bot, 1, { move: clearing });
  }
}

function otherPlace({ instanceId }: BotRecord, { other }: Move): Place {
  if (other === null) throw new BunkhouseError('INTERNAL', `${instanceId} has no other place`);
  return other;
}

/** What its record says of the place it is in. */
function placeOf({ instanceId, placement, location, legacy }: BotRecord): Place {
  if (placement === null) throw new BunkhouseError('INTERNAL', `${instanceId} moves without a place`);
  return { placement, location, legacy };
}

function aloneSince(now: number): LegacyLife {
  return { cause: 'asked', why: 'moved out of the pool', since: isoTime(now) };
}

function checkMovable({ instanceId, deleting, restore, reserve, move, placement }: BotRecord): void {
  const refuse = (why: string): never => {
    throw new BunkhouseError('CONFLICT', `${instanceId} ${why}`);
  };
  if (deleting) refuse('is being deleted');
  if (restore !== null) refuse(`is being restored from ${restore.backup}; wait until it is`);
  if (move !== null) refuse(`is on its way already (${move.phase}); wait until that move is over`);
  if (reserve !== null && reserve.phase !== 'assigned')
    refuse('waits in the reserve; such bots are not moved but made anew elsewhere');
  if (placement === null)
    throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} has no container yet; move it once it has one`, {
      retryAfterSeconds: 5,
    });
}

function checkDestination(state: State, bot: BotRecord, to: Destination, cause: MoveCause): void {
  const refuse = (why: string): never => {
    throw new BunkhouseError('CONFLICT', `${bot.instanceId} ${why}`);
  };
  const here = bot.placement?.container;
  const isAsked = cause.kind === 'request';
  if (to.kind === 'alone' && bot.legacy !== null && isAsked) refuse('has a container of its own already');
  if (to.kind === 'location' && to.location === bot.location) refuse(`is in location ${to.location} already`);
  if (to.kind !== 'container') return;
  if (to.container === here) refuse(`is in ${here} already`);
  const container = findContainer(state, to.container);
  const { location: _, ...kind } = bot;
  if (container.pool !== poolKey({ ...kind, location: poolLocation(container.pool) }))
    refuse(`may not share ${to.container}, which is of the pool ${container.pool}`);
  if (container.soleBot !== null && container.soleBot !== bot.instanceId)
    refuse(`may not share ${to.container}, which is the container of ${container.soleBot} alone`);
  if (container.removing || container.emptying !== null)
    refuse(`cannot move to ${to.container}, which is being emptied`);
}
