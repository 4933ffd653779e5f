import type { ContainerRecord } from './container.ts';

/** `stopping`: taken back; once the bots on their way have arrived or are back, it is `aborted`. `failed`: more moves failed than may. */
export const UPGRADE_STATUSES = ['running', 'paused', 'stopping', 'aborted', 'failed', 'done'] as const;
export type UpgradeStatus = (typeof UPGRADE_STATUSES)[number];

export const UPGRADE_ACTIONS = ['pause', 'resume', 'abort', 'force'] as const;
export type UpgradeAction = (typeof UPGRADE_ACTIONS)[number];

/** Of requests that do not say. */
export const UPGRADE_PACE = { surge: 2, spacingSeconds: 5, failureBudget: 2 } as const;
export const DRAIN_SURGE = 2;

/** The latest rolling change of a template's containers. Those with an older generation than it are emptied, a few bots at a time. */
export interface UpgradeRecord {
  readonly template: string;
  /** Image of new containers in place of the template's own; null: the template's own. */
  readonly image: string | null;
  /** The same before it, to which it falls back when it is aborted or fails. */
  readonly previousImage: string | null;
  /** Containers below it are old. */
  readonly generation: number;
  readonly status: UpgradeStatus;
  /** Bots on their way at once, at the most. */
  readonly surge: number;
  /** Seconds between the beginnings of two moves. */
  readonly spacingSeconds: number;
  /** Moves that may fail; one more ends it. */
  readonly failureBudget: number;
  /** Bots that their template holds back are moved all the same so many seconds after it was started; null: never. */
  readonly holdSeconds: number | null;
  readonly moved: number;
  readonly failures: readonly UpgradeFailure[];
  /** ISO 8601, UTC: of the latest beginning of a move. */
  readonly begunAt: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface UpgradeFailure {
  readonly bot: string;
  readonly why: string;
  /** ISO 8601, UTC. */
  readonly at: string;
}

/** Whether it goes on, now or after a pause. */
export function isUnderWay({ status }: Pick<UpgradeRecord, 'status'>): boolean {
  return status === 'running' || status === 'paused' || status === 'stopping';
}

/** Image of new containers in place of the template's own; null: the template's own. */
export function imageOverride(upgrade: UpgradeRecord | undefined): string | null {
  if (upgrade === undefined) return null;
  return upgrade.status === 'running' || upgrade.status === 'paused' || upgrade.status === 'done'
    ? upgrade.image
    : upgrade.previousImage;
}

/** Whether the container is one that the upgrade is to empty, as far as it gets. */
export function isOld(container: Pick<ContainerRecord, 'pool' | 'generation'>, upgrade: UpgradeRecord): boolean {
  return container.pool.startsWith(`${upgrade.template}/`) && container.generation < upgrade.generation;
}
