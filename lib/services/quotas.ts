import { BunkhouseError } from '../domain/errors.ts';
import type { Window } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import { isoTime } from '../util/clock.ts';

/** Null: no limit. */
export interface AcquisitionLimits {
  /** At a time. */
  readonly perOwner: number | null;
  readonly hourly: number | null;
  readonly daily: number | null;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Counts one more lease of the owner. Throws RATE_LIMITED beyond a limit; then it is not counted. */
export function countLease(state: State, owner: string, limits: AcquisitionLimits, now: number): State {
  const before = state.quotas.get(owner);
  const hour = roll(before?.hour, now, HOUR_MS);
  const day = roll(before?.day, now, DAY_MS);
  refuseBeyond(limits.hourly, hour, since(hour) + HOUR_MS - now, 'an hour');
  refuseBeyond(limits.daily, day, since(day) + DAY_MS - now, 'a day');
  refuseHolding(limits.perOwner, state, owner, now);
  const quota = { hour: { ...hour, count: hour.count + 1 }, day: { ...day, count: day.count + 1 } };
  return { ...state, quotas: state.quotas.put(owner, quota) };
}

/** Without the windows that are over. */
export function forgetQuotas(state: State, now: number): State {
  const quotas = state.quotas.filter(({ day }) => now < since(day) + DAY_MS);
  return quotas.size === state.quotas.size ? state : { ...state, quotas };
}

// Private

const since = (window: Window): number => Date.parse(window.since);

/**
 * The window that holds `now`: the one there is, or a new one. One from the future (the clock was set back) begins now
 * instead: nobody gets more than their quota by it, and nobody waits longer than one window.
 */
function roll(window: Window | undefined, now: number, lengthMs: number): Window {
  if (window === undefined || now >= since(window) + lengthMs) return { since: isoTime(now), count: 0 };
  return since(window) > now ? { ...window, since: isoTime(now) } : window;
}

function refuseBeyond(most: number | null, { count }: Window, leftMs: number, per: string): void {
  if (most !== null && count >= most) throw refusal(`no more than ${most} leases ${per}`, leftMs);
}

function refuseHolding(most: number | null, { leases }: State, owner: string, now: number): void {
  if (most === null) return;
  const held = leases.records.filter((lease) => lease.owner === owner && lease.end === null);
  if (held.length < most) return;
  const first = Math.min(...held.map(({ expiresAt }) => Date.parse(expiresAt)));
  throw refusal(`${owner} has ${held.length} leases, which is all it may have; release one`, first - now);
}

function refusal(why: string, afterMs: number): BunkhouseError {
  const retryAfterSeconds = Math.max(1, Math.ceil(afterMs / 1000));
  return new BunkhouseError('RATE_LIMITED', `${why}; try again in ${retryAfterSeconds} s`, { retryAfterSeconds });
}
