import type { Actor } from '../domain/state.ts';
import type { Usage } from '../domain/usage.ts';

export interface UsageQuery {
  /** Ms since the epoch; left out: a day before `to`. */
  readonly from?: number;
  /** Ms since the epoch; left out: now. */
  readonly to?: number;
  /** Left out: everybody an administrator sees; an owner sees only their own. */
  readonly owner?: string;
  readonly by: 'bot' | 'owner';
}

export interface UsageRow extends Usage {
  readonly owner: string;
  /** Null: all bots of the owner together. */
  readonly instanceId: string | null;
}

export interface UsageReport {
  /** The whole hours (before 35 days: days) that were asked for, ISO 8601. */
  readonly from: string;
  readonly to: string;
  readonly by: UsageQuery['by'];
  /** By owner, then bot. */
  readonly usage: readonly UsageRow[];
  readonly total: Usage;
}

export interface UsageApi {
  /**
   * Throws INVALID when `from` is not before `to`, FORBIDDEN for another owner's, STORE_UNAVAILABLE while what was kept
   * cannot be read.
   */
  usage(actor: Actor, query: UsageQuery): Promise<UsageReport>;
}
