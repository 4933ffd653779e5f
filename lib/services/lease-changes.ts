import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { type LeaseEnd, type LeaseRecord, POOL_OWNER, type ReserveLife, type Window } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import type { Change } from '../store/store.ts';
import { isoTime } from '../util/clock.ts';
import { addBot, findBot, type NewBot, reviseBot } from './bot-container-mapper.ts';

/** The changes of leases and of the reserve in the store, each a pure compare-and-set. */

/** What somebody asks for, already checked for form. Times in ms since the epoch. */
export interface Acquisition {
  readonly id: string;
  readonly template: string;
  readonly location: string;
  readonly owner: string;
  readonly ttlSeconds: number;
  readonly now: number;
  readonly limits: AcquisitionLimits;
}

/** Null: no limit. */
export interface AcquisitionLimits {
  readonly perOwner: number | null;
  readonly hourly: number | null;
  readonly daily: number | null;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Ended leases are kept so long for those who ask what became of them. */
const REMEMBERED_MS = HOUR_MS;

/** Hands out a ready bot. Throws CONFLICT when it is not ready (any more), RATE_LIMITED beyond the owner's quota. */
export function leaseReady(bot: string, wish: Acquisition): Change<LeaseRecord> {
  return (state) => {
    const record = findBot(state, bot);
    if (record.deleting || record.reserve?.phase !== 'ready')
      throw new BunkhouseError('CONFLICT', `${bot} is not ready`);
    const counted = countIn(state, wish);
    const revised = enter(bot, 'assigned', wish.now, () => ({ owner: wish.owner }), wish.id)(counted);
    return grant(revised.state, bot, wish, true);
  };
}

/** Hands out a bot that is made for it. Throws CONFLICT (id taken), RATE_LIMITED. */
export function leaseNew(bot: NewBot, wish: Acquisition): Change<LeaseRecord> {
  return (state) => {
    const counted = countIn(state, wish);
    const made = addBot({ ...bot, owner: wish.owner, reserve: life('assigned', wish.now, wish.id, 0) })(counted);
    return grant(made.state, bot.instanceId, wish, false);
  };
}

/** Ends a lease, once. From then on its holder has no access to the bot, whose process is stopped. */
export function endLease(id: string, how: LeaseEnd['how'], now: number): Change<LeaseRecord> {
  return (state) => {
    const lease = findLease(state, id);
    if (lease.end !== null) return { state, result: lease };
    const ended = { ...lease, end: { at: isoTime(now), how } };
    const next = putLease(forgetOldLeases(state, now), ended);
    const bot = next.bots[lease.bot];
    if (bot === undefined || bot.deleting || bot.reserve?.lease !== id) return { state: next, result: ended };
    const stopped = enter(lease.bot, 'expired', now, () => ({ owner: POOL_OWNER, desired: 'stopped' }), id)(next);
    return { state: stopped.state, result: ended };
  };
}

/** Throws NOT_FOUND, CONFLICT when it has ended, INVALID beyond its longest time. */
export function extendLease(id: string, seconds: number, maxTtlSeconds: number): Change<LeaseRecord> {
  return (state) => {
    const lease = findLease(state, id);
    if (lease.end !== null) throw new BunkhouseError('CONFLICT', `lease ${id} has ended; acquire a new one`);
    const expiresAt = Date.parse(lease.expiresAt) + seconds * 1000;
    const latest = Date.parse(lease.createdAt) + maxTtlSeconds * 1000;
    if (expiresAt > latest) {
      throw new BunkhouseError(
        'INVALID',
        `a lease lasts ${maxTtlSeconds} s at most; it can be extended to ${isoTime(latest)}`,
      );
    }
    const extended = { ...lease, expiresAt: isoTime(expiresAt) };
    return { state: putLease(state, extended), result: extended };
  };
}

/** Warm bots to be, all in one step. */
export function addReserve(bots: readonly NewBot[], now: number): Change<void> {
  return (state) => ({
    state: bots.reduce((next, bot) => addBot({ ...bot, reserve: life('warming', now, null, 0) })(next).state, state),
    result: undefined,
  });
}

/** Throws CONFLICT unless it is warming. */
export function admitReady(bot: string, now: number): Change<void> {
  return (state) => {
    const record = inPhase(state, bot, ['warming']);
    const reserve: ReserveLife = { ...record.reserve, phase: 'ready', since: isoTime(now) };
    return { state: { ...state, bots: { ...state.bots, [bot]: { ...record, reserve } } }, result: undefined };
  };
}

/** Durable before anything is cleaned, so that a half-cleaned bot is known as one. */
export function beginReset(bot: string, now: number): Change<void> {
  return (state) => {
    const record = inPhase(state, bot, ['expired', 'resetting']);
    const reserve: ReserveLife = { ...record.reserve, phase: 'resetting', since: isoTime(now) };
    return { state: { ...state, bots: { ...state.bots, [bot]: { ...record, reserve } } }, result: undefined };
  };
}

/** A bot that was proven clean starts anew, with secrets that its last holder does not know. */
export function rewarm(bot: string, secrets: BotRecord['secrets'], now: number): Change<void> {
  return (state) => {
    const record = inPhase(state, bot, ['resetting']);
    const fresh = { desired: 'running', secrets, files: {}, env: {}, args: [] } as const;
    const served = record.reserve.served + 1;
    const revised = reviseBot(bot, () => ({ ...fresh, reserve: life('warming', now, null, served) }), true)(state);
    return { state: revised.state, result: undefined };
  };
}

/** Marks a bot of the reserve for deletion; a lease on it is lost. */
export function discardBot(bot: string, now: number): Change<void> {
  return (state) => {
    const record = findBot(state, bot);
    if (record.reserve === null) throw new BunkhouseError('CONFLICT', `${bot} is no bot of the reserve`);
    if (record.deleting) return { state, result: undefined };
    const lease = state.leases[record.reserve.lease ?? ''];
    const ended =
      lease === undefined || lease.end !== null
        ? state
        : putLease(state, { ...lease, end: { at: isoTime(now), how: 'lost' } });
    return { state: reviseBot(bot, () => ({ deleting: true }), false)(ended).state, result: undefined };
  };
}

export function findLease(state: State, id: string): LeaseRecord {
  const lease = state.leases[id];
  if (lease === undefined || !Object.hasOwn(state.leases, id)) {
    throw new BunkhouseError('NOT_FOUND', `there is no lease ${id}`);
  }
  return lease;
}

// Private

function grant(state: State, bot: string, wish: Acquisition, fromPool: boolean): { state: State; result: LeaseRecord } {
  const lease: LeaseRecord = {
    id: wish.id,
    bot,
    template: wish.template,
    location: wish.location,
    owner: wish.owner,
    createdAt: isoTime(wish.now),
    expiresAt: isoTime(wish.now + wish.ttlSeconds * 1000),
    ttlSeconds: wish.ttlSeconds,
    fromPool,
    // The generation of the record that says so: it only grows.
    fence: state.generation,
    end: null,
  };
  return { state: putLease(state, lease), result: lease };
}

function enter(
  bot: string,
  phase: 'assigned' | 'expired',
  now: number,
  facts: () => Partial<BotRecord>,
  lease: string,
): Change<BotRecord> {
  return (state) => {
    const served = findBot(state, bot).reserve?.served ?? 0;
    const desiredGeneration = state.generation + 1;
    return reviseBot(
      bot,
      () => ({ ...facts(), desiredGeneration, reserve: life(phase, now, lease, served) }),
      false,
    )(state);
  };
}

function life(phase: ReserveLife['phase'], now: number, lease: string | null, served: number): ReserveLife {
  return { phase, lease, since: isoTime(now), served };
}

function inPhase(state: State, bot: string, phases: readonly string[]): BotRecord & { readonly reserve: ReserveLife } {
  const record = findBot(state, bot);
  const { reserve } = record;
  if (reserve === null || record.deleting || !phases.includes(reserve.phase)) {
    throw new BunkhouseError('CONFLICT', `${bot} is not ${phases.join(' or ')}`);
  }
  return { ...record, reserve };
}

/** Counts the acquisition against the owner's quotas, in the same step that grants it. */
function countIn(state: State, { owner, now, limits }: Acquisition): State {
  const before = Object.hasOwn(state.quotas, owner) ? state.quotas[owner] : undefined;
  const hour = roll(before?.hour, now, HOUR_MS);
  const day = roll(before?.day, now, DAY_MS);
  refuseBeyond(limits.hourly, hour, now, HOUR_MS, 'an hour');
  refuseBeyond(limits.daily, day, now, DAY_MS, 'a day');
  if (limits.perOwner !== null) {
    const held = Object.values(state.leases).filter((lease) => lease.owner === owner && lease.end === null).length;
    if (held >= limits.perOwner)
      throw new BunkhouseError(
        'RATE_LIMITED',
        `${owner} has ${held} leases, which is all it may have; release one first`,
      );
  }
  const quota = { hour: { ...hour, count: hour.count + 1 }, day: { ...day, count: day.count + 1 } };
  return { ...state, quotas: { ...state.quotas, [owner]: quota } };
}

/** The window that holds `now`: the one there is, or a new one. A window from the future (the clock was set back) is a new one too. */
function roll(window: Window | undefined, now: number, lengthMs: number): Window {
  const since = window === undefined ? Number.NaN : Date.parse(window.since);
  if (window !== undefined && since <= now && now < since + lengthMs) return window;
  return { since: isoTime(now), count: 0 };
}

function refuseBeyond(most: number | null, window: Window, now: number, lengthMs: number, per: string): void {
  if (most === null || window.count < most) return;
  const retryAfterSeconds = Math.max(1, Math.ceil((Date.parse(window.since) + lengthMs - now) / 1000));
  throw new BunkhouseError('RATE_LIMITED', `no more than ${most} leases ${per}; try again in ${retryAfterSeconds} s`, {
    retryAfterSeconds,
  });
}

function forgetOldLeases(state: State, now: number): State {
  const old = Object.values(state.leases).filter(({ end }) => end !== null && Date.parse(end.at) < now - REMEMBERED_MS);
  if (old.length === 0) return state;
  const gone = new Set(old.map((lease) => lease.id));
  return { ...state, leases: Object.fromEntries(Object.entries(state.leases).filter(([id]) => !gone.has(id))) };
}

const putLease = (state: State, lease: LeaseRecord): State => ({
  ...state,
  leases: { ...state.leases, [lease.id]: lease },
});
