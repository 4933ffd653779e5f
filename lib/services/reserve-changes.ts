import type { BotRecord } from '../domain/bot.ts';
import { closedContainers } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';
import {
  isStale,
  isWaiting,
  type LeaseRecord,
  POOL_OWNER,
  type ReserveLife,
  type ReservePhase,
  type ReservePlace,
  reserveKey,
  reserveLife,
} from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import type { Change } from '../store/store.ts';
import { isoTime } from '../util/clock.ts';
import {
  addBot,
  findBot,
  markDeleting,
  type NewBot,
  overtakeGeneration,
  putBot,
  reviseBot,
} from './bot-container-mapper.ts';

/** The changes of bots of the reserve in the store, each a pure compare-and-set. Times in ms since the epoch. */

/** Bots of a template that its pool may hand out or has handed out; also those being deleted, which still take a slot. */
export function countMembers(state: State, template: string): number {
  return state.bots.records.filter((bot) => bot.template === template && bot.reserve !== null).length;
}

export interface Bounds {
  /** Of bots in that location that are ready or on their way to be. */
  readonly target: number;
  /** Of all of the template that can be leased. */
  readonly most: number;
}

/** Warm bots to be, as many of them as there is room for. Says how many. */
export function addReserve(place: ReservePlace, bots: readonly NewBot[], bounds: Bounds, now: number): Change<number> {
  return (state) => {
    const key = reserveKey(place);
    const closed = closedContainers(state.containers);
    const waiting = state.bots.records.filter(
      (bot) => !bot.deleting && isWaiting(bot) && !isStale(bot, closed) && reserveKey(bot) === key,
    );
    const room = Math.min(bounds.target - waiting.length, bounds.most - countMembers(state, place.template));
    const added = bots.slice(0, Math.max(0, room));
    const reserve = reserveLife('warming', isoTime(now), null, 0);
    return {
      state: added.reduce((next, bot) => addBot({ ...bot, owner: POOL_OWNER, reserve })(next).state, state),
      result: added.length,
    };
  };
}

/** Throws CONFLICT unless it is warming. */
export const admitReady = (bot: string, now: number): Change<void> => enter(bot, ['warming'], 'ready', now);

/** Throws CONFLICT unless it is ready. */
export const demoteReady = (bot: string, now: number): Change<void> => enter(bot, ['ready'], 'warming', now);

/** Durable before anything is cleaned, so that a half-cleaned bot is known as one. */
export const beginReset = (bot: string, now: number): Change<void> =>
  enter(bot, ['expired', 'resetting'], 'resetting', now);

/** A bot that was proven clean starts anew, with secrets that its last holder does not know. */
export function rewarm(bot: string, secrets: BotRecord['secrets'], now: number): Change<void> {
  return (state) => {
    const { reserve } = inPhase(state, bot, ['resetting']);
    const fresh = {
      desired: 'running',
      desiredGeneration: state.generation + 1,
      secrets,
      reserve: reserveLife('warming', isoTime(now), null, reserve.served + 1),
    } as const;
    return { state: reviseBot(bot, () => fresh, true)(state).state, result: undefined };
  };
}

/** Marks a bot of the reserve for deletion. Returns the lease that is lost with it, or null. */
export function discardBot(bot: string, now: number): Change<LeaseRecord | null> {
  return (state) => {
    const { reserve, deleting } = findBot(state, bot);
    if (reserve === null) throw new BunkhouseError('CONFLICT', `${bot} is no bot of the reserve`);
    if (deleting) return { state, result: null };
    const { state: next, lost } = loseLease(state, reserve, now);
    return { state: markDeleting(bot)(next).state, result: lost };
  };
}

/**
 * A container knows a generation of the bot that the store does not reach: an older copy of the store was brought back. The
 * bot gets a generation above that. What the store says of a bot of the reserve is out of date, so that is cleaned before
 * anybody gets it.
 */
export function overtake(bot: string, seen: number, now: number): Change<void> {
  return (state) => {
    const { generation, reserve, deleting } = findBot(state, bot);
    const outdated = reserve !== null && !deleting && seen > generation;
    return overtakeGeneration(bot, seen)(outdated ? distrust(state, bot, reserve, now) : state);
  };
}

// Private

function enter(bot: string, from: readonly ReservePhase[], phase: ReservePhase, now: number): Change<void> {
  return (state) => {
    const { record, reserve } = inPhase(state, bot, from);
    const entered: ReserveLife = { ...reserve, phase, since: isoTime(now) };
    return { state: putBot(state, { ...record, reserve: entered }), result: undefined };
  };
}

function inPhase(
  state: State,
  bot: string,
  phases: readonly ReservePhase[],
): { readonly record: BotRecord; readonly reserve: ReserveLife } {
  const record = findBot(state, bot);
  const { reserve, deleting } = record;
  if (reserve !== null && !deleting && phases.includes(reserve.phase)) return { record, reserve };
  throw new BunkhouseError('CONFLICT', `${bot} is not ${phases.join(' or ')}`);
}

function distrust(state: State, bot: string, before: ReserveLife, now: number): State {
  const { state: next } = loseLease(state, before, now);
  const reserve = reserveLife('expired', isoTime(now), before.lease, before.served);
  const facts = { owner: POOL_OWNER, desired: 'stopped', desiredGeneration: next.generation + 1, reserve } as const;
  return reviseBot(bot, () => facts, false)(next).state;
}

function loseLease(
  state: State,
  reserve: ReserveLife,
  now: number,
): { readonly state: State; readonly lost: LeaseRecord | null } {
  const lease = state.leases.get(reserve.lease ?? '');
  if (reserve.phase !== 'assigned' || lease === undefined || lease.end !== null) return { state, lost: null };
  const lost: LeaseRecord = { ...lease, end: { at: isoTime(now), how: 'lost' } };
  return { state: { ...state, leases: state.leases.put(lease.id, lost) }, lost };
}
