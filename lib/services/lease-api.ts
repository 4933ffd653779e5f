import type { BotState } from '../domain/bot.ts';
import type { LeaseEnd } from '../domain/lease.ts';
import type { Actor } from '../domain/state.ts';

/** What a request for a lease says; already checked for form. */
export interface AcquireLease {
  /** Left out: DEFAULT_TEMPLATE. */
  readonly template?: string;
  /** Left out: as the template says. */
  readonly ttlSeconds?: number;
  /** Left out: wherever one is ready, in the default location first. */
  readonly location?: string;
  /** Left out by an owner: the owner itself; by an admin: `admin`. */
  readonly owner?: string;
  /** The answer waits so long at most for the bot to run and to be reached at its `url`. Left out: it comes at once. */
  readonly waitSeconds?: number;
}

export interface LeaseView {
  readonly id: string;
  readonly instanceId: string;
  readonly owner: string;
  readonly template: string;
  readonly location: string;
  /** Where the bot is reached: by host name, otherwise its path behind this server's proxy. */
  readonly url: string;
  /** Of the bot; null once the lease has ended, when it is nobody's to know. */
  readonly state: BotState | null;
  readonly createdAt: string;
  readonly expiresAt: string;
  /** That are left; 0 once it has ended. */
  readonly ttlSeconds: number;
  readonly fromPool: boolean;
  readonly fence: number;
  /** What its template tells the holder, such as a password; null in lists and once the lease has ended. */
  readonly access: Readonly<Record<string, string>> | null;
  readonly end: LeaseEnd | null;
}

export interface ReserveStatus {
  readonly template: string;
  readonly location: string;
  readonly target: number;
  readonly minSize: number;
  readonly maxSize: number;
  readonly ready: number;
  readonly warming: number;
  readonly assigned: number;
  /** Being stopped or cleaned. */
  readonly resetting: number;
  readonly isRefilling: boolean;
  /** Why warm bots that are missing are not made now; empty otherwise. */
  readonly held: string;
  /** Leases since the start of this supervisor, and those of them that a warm bot waited for. */
  readonly acquired: number;
  readonly fromPool: number;
  /** The one by the other; null before the first lease. */
  readonly hitRate: number | null;
}

/** A bot that waits to be handed out. */
export interface WaitingBot {
  readonly instanceId: string;
  readonly location: string;
  readonly url: string;
  readonly createdAt: string;
}

/** One message of a lease's countdown. */
export type LeaseTick =
  | { readonly type: 'ttl'; readonly ttlSeconds: number; readonly expiresAt: string }
  | { readonly type: 'expired'; readonly how: LeaseEnd['how'] }
  /** The stream ends for a reason of ours: connect again. */
  | { readonly type: 'reconnect' };

/** Every method that names a lease throws NOT_FOUND for one the actor may not see. */
export interface LeaseApi {
  /**
   * Durable when it resolves. The same key of the same actor is the same lease, as long as it is remembered. Throws INVALID
   * (template that is not leased, ttl), UNKNOWN_LOCATION, DRIVER_UNAVAILABLE (that location cannot be reached), FORBIDDEN (another owner), RATE_LIMITED, POOL_EXHAUSTED when nothing is
   * ready and no more may be made.
   */
  acquire(actor: Actor, request: AcquireLease, key: string | null): Promise<LeaseView>;
  get(actor: Actor, id: string): LeaseView;
  list(actor: Actor): readonly LeaseView[];
  /** Throws CONFLICT when it has ended, INVALID beyond the longest time. */
  extend(actor: Actor, id: string, seconds: number): Promise<LeaseView>;
  /** Again is a no-op. */
  release(actor: Actor, id: string): Promise<LeaseView>;
  /** Until the lease ends or `signal` aborts. */
  countdown(actor: Actor, id: string, signal: AbortSignal): AsyncIterable<LeaseTick>;
  /** Bots of a template that are ready to be handed out, longest waiting first. */
  waiting(template: string): readonly WaitingBot[];
  /** One for each template that is handed out on lease, in each location. */
  reserves(): readonly ReserveStatus[];
}
