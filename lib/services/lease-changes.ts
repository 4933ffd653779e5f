import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import {
  isOnLease,
  isWaiting,
  type LeaseEnd,
  type LeaseRecord,
  POOL_OWNER,
  type ReserveLife,
  type ReservePlace,
  reserveLife,
} from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import type { Change } from '../store/store.ts';
import { isoTime } from '../util/clock.ts';
import { addBot, findBot, type NewBot, putBot, reviseBot } from './bot-container-mapper.ts';
import { type AcquisitionLimits, countLease, forgetQuotas } from './quotas.ts';
import { countMembers } from './reserve-changes.ts';

/** The changes of leases in the store, each a pure compare-and-set. */

/** What somebody asks for, already checked for form. Times in ms since the epoch. */
export interface Acquisition {
  readonly id: string;
  readonly template: string;
  /** Null: anywhere. */
  readonly location: string | null;
  readonly owner: string;
  readonly ttlSeconds: number;
  readonly now: number;
  readonly limits: AcquisitionLimits;
}

/** Ended leases are kept so long for those who ask what became of them. */
export const REMEMBERED_MS = 3_600_000;

/** But only so many of the newest. */
const REMEMBERED = 5000;

/** When to come again, while others are on their way and at the latest. */
const SOON_MS = 5_000;
const AT_LATEST_MS = 60_000;

/** Hands out a ready bot. Throws CONFLICT when it is not ready (any more) or elsewhere, RATE_LIMITED beyond the owner's quota. */
export function leaseReady(bot: string, wish: Acquisition): Change<LeaseRecord> {
  return (state) => {
    const record = findBot(state, bot);
    if (record.deleting || record.reserve?.phase !== 'ready')
      throw new BunkhouseError('CONFLICT', `${bot} is not ready`);
    if (wish.location !== null && wish.location !== record.location)
      throw new BunkhouseError('CONFLICT', `${bot} is in ${record.location}, not in ${wish.location}`);
    const counted = countLease(state, wish.owner, wish.limits, wish.now);
    const reserve = reserveLife('assigned', isoTime(wish.now), wish.id, record.reserve.served);
    return grant(reviseBot(bot, () => ({ owner: wish.owner, reserve }), false)(counted), wish, true);
  };
}

/** Hands out a bot that is made for it. Throws CONFLICT (its id is taken), RATE_LIMITED, POOL_EXHAUSTED beyond `most`. */
export function leaseNew(bot: NewBot, wish: Acquisition, most: number): Change<LeaseRecord> {
  return (state) => {
    const counted = countLease(state, wish.owner, wish.limits, wish.now);
    if (countMembers(state, wish.template) >= most) throw exhausted(state, wish, most);
    const reserve = reserveLife('assigned', isoTime(wish.now), wish.id, 0);
    return grant(addBot({ ...bot, owner: wish.owner, reserve })(counted), wish, false);
  };
}

/**
 * Ends a lease, once: from then on its holder has no access to the bot, whose process is stopped. Null: it has ended before,
 * or it is to expire and was extended meanwhile.
 */
export function endLease(id: string, how: LeaseEnd['how'], now: number): Change<LeaseRecord | null> {
  return (state) => {
    const lease = findLease(state, id);
    if (lease.end !== null || (how === 'expired' && Date.parse(lease.expiresAt) > now)) return { state, result: null };
    const ended = { ...lease, end: { at: isoTime(now), how } };
    return { state: takeBack(putLease(state, ended), ended, now), result: ended };
  };
}

/** Throws NOT_FOUND, CONFLICT when it has ended, INVALID beyond its longest time. */
export function extendLease(id: string, seconds: number, maxTtlSeconds: number, now: number): Change<LeaseRecord> {
  return (state) => {
    const lease = findLease(state, id);
    if (lease.end !== null || Date.parse(lease.expiresAt) <= now)
      throw new BunkhouseError('CONFLICT', `lease ${id} has ended; acquire a new one`);
    const expiresAt = Date.parse(lease.expiresAt) + seconds * 1000;
    const latest = Date.parse(lease.createdAt) + maxTtlSeconds * 1000;
    if (expiresAt > latest) {
      const most = `a lease lasts ${maxTtlSeconds} s at most; it can be extended to ${isoTime(latest)}`;
      throw new BunkhouseError('INVALID', most);
    }
    const extended = { ...lease, expiresAt: isoTime(expiresAt) };
    return { state: tellBot(putLease(state, extended), extended), result: extended };
  };
}

/**
 * Moves the times of all leases that last, and those from which bots of the reserve wait: the clock was set, and all is to
 * last as long as it would have.
 */
export function shiftLeases(byMs: number): Change<void> {
  const shifted = (time: string): string => isoTime(Date.parse(time) + byMs);
  const moved = (lease: LeaseRecord): LeaseRecord => ({
    ...lease,
    createdAt: shifted(lease.createdAt),
    expiresAt: shifted(lease.expiresAt),
  });
  const waiting = (bot: BotRecord, reserve: ReserveLife): BotRecord => ({
    ...bot,
    reserve: { ...reserve, since: shifted(reserve.since) },
  });
  return (state) => {
    const leases = lastingLeases(state).map(moved);
    const told = leases.reduce((next, lease) => tellBot(putLease(next, lease), lease), state);
    const bots = told.bots.records.flatMap((bot) => (bot.reserve === null ? [] : [waiting(bot, bot.reserve)]));
    return { state: bots.reduce(putBot, told), result: undefined };
  };
}

/** The latest of the times that `shiftLeases` moves, in ms since the epoch: whatever a clock says, it is over. */
export function latestMoment(state: State): number {
  const times = [
    ...lastingLeases(state).map(({ createdAt }) => createdAt),
    ...state.bots.records.flatMap(({ reserve }) => reserve?.since ?? []),
  ];
  return times.reduce((latest, time) => Math.max(latest, Date.parse(time)), Number.NEGATIVE_INFINITY);
}

/** Drops leases that ended long ago and quotas that are over. */
export function forgetLeases(now: number): Change<void> {
  return (state) => {
    const since = isoTime(now - REMEMBERED_MS);
    const newestFirst = state.leases.records.filter(isEnded).sort((a, b) => (a.end.at < b.end.at ? 1 : -1));
    const old = new Set<LeaseRecord>(newestFirst.filter(({ end }, n) => end.at < since || n >= REMEMBERED));
    const leases = state.leases.filter((lease) => !old.has(lease));
    const next = leases.size === state.leases.size ? state : { ...state, leases };
    return { state: forgetQuotas(next, now), result: undefined };
  };
}

export function findLease(state: State, id: string): LeaseRecord {
  const lease = state.leases.get(id);
  if (lease === undefined) throw new BunkhouseError('NOT_FOUND', `there is no lease ${id}`);
  return lease;
}

// Private

const isEnded = (lease: LeaseRecord): lease is LeaseRecord & { readonly end: LeaseEnd } => lease.end !== null;

const lastingLeases = ({ leases }: State): LeaseRecord[] => leases.records.filter(({ end }) => end === null);

function grant(
  { state, result: bot }: { readonly state: State; readonly result: BotRecord },
  wish: Acquisition,
  fromPool: boolean,
): { state: State; result: LeaseRecord } {
  if (state.leases.has(wish.id)) throw new BunkhouseError('CONFLICT', `there is a lease ${wish.id} already`);
  const lease: LeaseRecord = {
    id: wish.id,
    bot: bot.instanceId,
    template: wish.template,
    location: bot.location,
    owner: wish.owner,
    createdAt: isoTime(wish.now),
    expiresAt: isoTime(wish.now + wish.ttlSeconds * 1000),
    ttlSeconds: wish.ttlSeconds,
    fromPool,
    // The generation of the record that says so: it only grows.
    fence: bot.generation,
    end: null,
  };
  return { state: putLease(state, lease), result: lease };
}

/** The bot belongs to nobody any more and is stopped, to be cleaned or deleted. */
function takeBack(state: State, lease: LeaseRecord, now: number): State {
  const bot = state.bots.get(lease.bot);
  if (bot === undefined || bot.deleting || !isOnLease(bot, lease.id)) return state;
  const reserve = reserveLife('expired', isoTime(now), lease.id, bot.reserve.served);
  const facts = { owner: POOL_OWNER, desired: 'stopped', desiredGeneration: state.generation + 1, reserve } as const;
  return reviseBot(lease.bot, () => facts, false)(state).state;
}

/** Its container is to hear of the lease's new times; the process goes on. */
function tellBot(state: State, lease: LeaseRecord): State {
  const bot = state.bots.get(lease.bot);
  if (bot === undefined || bot.deleting || !isOnLease(bot, lease.id)) return state;
  return reviseBot(lease.bot, () => ({}), false)(state).state;
}

/** Soon, when one is being made or cleaned where it is wanted; else when the next lease there ends, or in a minute, which somebody may have given back by then. */
function exhausted(state: State, { template, location, now }: Acquisition, most: number): BunkhouseError {
  const isWanted = (one: ReservePlace): boolean =>
    one.template === template && (location === null || one.location === location);
  const isComing = state.bots.records.some((bot) => isWanted(bot) && !bot.deleting && isWaiting(bot));
  const ends = lastingLeases(state)
    .filter(isWanted)
    .map((lease) => Date.parse(lease.expiresAt));
  const first = ends.reduce((a, b) => Math.min(a, b), now + (isComing ? SOON_MS : AT_LATEST_MS));
  const retryAfterSeconds = Math.max(1, Math.ceil((first - now) / 1000));
  const message = `all ${most} bots of template ${template} are taken; try again in ${retryAfterSeconds} s`;
  return new BunkhouseError('POOL_EXHAUSTED', message, { retryAfterSeconds });
}

const putLease = (state: State, lease: LeaseRecord): State => ({
  ...state,
  leases: state.leases.put(lease.id, lease),
});
