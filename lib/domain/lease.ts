import type { Placement } from './placement.ts';

/**
 * Life of a bot that its pool keeps ahead of demand. `warming`: made or cleaned, and not yet proven well. `ready`: waits to be
 * handed out. `assigned`: on lease. `expired`: the lease is over and its process is being stopped. `resetting`: stopped; it is
 * being cleaned, and is warming again only when that is proven.
 */
export const RESERVE_PHASES = ['warming', 'ready', 'assigned', 'expired', 'resetting'] as const;
export type ReservePhase = (typeof RESERVE_PHASES)[number];

export interface ReserveLife {
  readonly phase: ReservePhase;
  /** The lease it is on, or was last. */
  readonly lease: string | null;
  /** ISO 8601, UTC: when the phase was entered. */
  readonly since: string;
  /** How many leases it has served. */
  readonly served: number;
}

export function reserveLife(phase: ReservePhase, since: string, lease: string | null, served: number): ReserveLife {
  return { phase, lease, since, served };
}

/** A reserve is kept of one template in one location: its key. */
export const reserveKey = ({ template, location }: ReservePlace): string => `${template}/${location}`;

export interface ReservePlace {
  readonly template: string;
  readonly location: string;
}

/**
 * For logs: enough to find it in a list, too little to be used. Where no token is needed, the id of a lease is the proof of
 * whose it is, and more people read logs than have leases.
 */
export const loggedLease = (id: string): string => (id.length > 8 ? `${id.slice(0, 8)}…` : id);

/** Whether it is ready, or on its way to be. */
export function isWaiting({ reserve }: { readonly reserve: ReserveLife | null }): boolean {
  return reserve !== null && reserve.phase !== 'assigned';
}

/** Whether the container it waits in is closed: another is made in its place, and then it goes. */
export function isStale({ placement }: { readonly placement: Placement | null }, closed: ReadonlySet<string>): boolean {
  return placement !== null && closed.has(placement.container);
}

/** Whether it is on that lease now. */
export function isOnLease<T extends { readonly reserve: ReserveLife | null }>(
  bot: T,
  lease: string,
): bot is T & { readonly reserve: ReserveLife } {
  return bot.reserve?.phase === 'assigned' && bot.reserve.lease === lease;
}

/** A bot handed out for a time. Kept for a while after its end, so that a late caller learns what became of it. */
export interface LeaseRecord {
  readonly id: string;
  readonly bot: string;
  readonly template: string;
  readonly location: string;
  readonly owner: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly expiresAt: string;
  /** As granted at first, without extensions. */
  readonly ttlSeconds: number;
  /** Whether a warm bot was waiting. */
  readonly fromPool: boolean;
  /** Only grows, from lease to lease: what the holder of an older lease does can be told apart and refused. */
  readonly fence: number;
  readonly end: LeaseEnd | null;
}

export interface LeaseEnd {
  readonly at: string;
  readonly how: 'released' | 'expired' | 'lost';
}

/** Acquisitions of one owner in the hour and the day that began with the first one in it. */
export interface Quota {
  readonly hour: Window;
  readonly day: Window;
}

export interface Window {
  /** ISO 8601, UTC. */
  readonly since: string;
  readonly count: number;
}

/** In the directory of every bot of a pool that hands them out: what lease it is on, as JSON; `null` for none. */
export const LEASE_FILE = 'lease.json';

/** Owner of bots nobody has on lease. */
export const POOL_OWNER = 'pool';
