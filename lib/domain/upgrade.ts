/** `stopping`: taken back; bots on their way go back, then it is `aborted`. `failed`: more moves failed than it may. */
export const UPGRADE_STATUSES = ['running', 'paused', 'stopping', 'aborted', 'failed', 'done'] as const;
export type UpgradeStatus = (typeof UPGRADE_STATUSES)[number];

/** The latest rolling change of a template's containers. Those with an older generation than it are emptied, a few bots at a time. */
export interface UpgradeRecord {
  readonly template: string;
  /** Image of new containers from now on; null: the template's own. */
  readonly image: string | null;
  /** Containers below it are old. */
  readonly generation: number;
  readonly status: UpgradeStatus;
  /** Bots on their way at once, at the most. */
  readonly surge: number;
  /** Seconds between the beginnings of two moves. */
  readonly spacingSeconds: number;
  /** Moves that may fail; one more ends it. */
  readonly failureBudget: number;
  readonly moved: number;
  readonly failures: readonly UpgradeFailure[];
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface UpgradeFailure {
  readonly bot: string;
  readonly why: string;
  /** ISO 8601, UTC. */
  readonly at: string;
}
