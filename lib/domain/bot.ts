import type { ReserveLife } from './lease.ts';
import { isHeldStill, type LegacyLife, type Move } from './move.ts';
import type { Placement } from './placement.ts';
import type { RestoreWish } from './restore.ts';
import type { BotLimits } from './template.ts';

/** What the owner wants. Kept apart from what is observed: a bot its owner stopped stays stopped. */
export type Desired = 'running' | 'paused' | 'stopped';

/** What is observed. `pending`: not yet in a container. `unknown`: could not be observed, which never means gone. */
export const BOT_STATES = [
  'pending',
  'starting',
  'running',
  'unhealthy',
  'backoff',
  'stopping',
  'stopped',
  'failed',
  'unknown',
] as const;
export type BotState = (typeof BOT_STATES)[number];

/** A bot as the store keeps it: wishes and claims, never observations. */
export interface BotRecord {
  readonly instanceId: string;
  readonly template: string;
  readonly owner: string;
  readonly group: string;
  readonly location: string;
  readonly desired: Desired;
  /** Marked for deletion: it is stopped, archived, removed from its slot and only then forgotten. */
  readonly deleting: boolean;
  /** Set once the archive is safe on the orchestrator's disk: its file name. */
  readonly archive: string | null;
  /** The owner's files: relative path to content in base64. May hold exchange keys, so never shown. */
  readonly files: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly limits: Partial<BotLimits>;
  /** Random secrets by the template's names. Never shown. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly placement: Placement | null;
  /** Grows with every change of this record that the container must hear of. Fences late commands. */
  readonly generation: number;
  /** A process started under an older generation than this must be restarted. */
  readonly restartGeneration: number;
  /** Generation at which the owner last changed `desired`: a process started since has it from its files. */
  readonly desiredGeneration: number;
  /** Newest `desiredGeneration` that was carried out in a living process by a control call. */
  readonly controlledGeneration: number;
  /** Null: an ordinary bot, which is nobody's to hand out. */
  readonly reserve: ReserveLife | null;
  /** Set: its data is to be replaced by that of a backup, and until it is its process is held stopped. */
  readonly restore: RestoreWish | null;
  /** Set: it is on its way to another container. */
  readonly move: Move | null;
  /** Set: it has a container of its own instead of a slot in a shared one. */
  readonly legacy: LegacyLife | null;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

export function poolKey(bot: Pick<BotRecord, 'template' | 'group' | 'location'>): string {
  return `${bot.template}/${bot.group}/${bot.location}`;
}

/** Of a pool's key. */
export function poolLocation(pool: string): string {
  return pool.split('/')[2] ?? '';
}

/** Whether it is the owner's to see and use. What waits in the reserve is nobody's, whatever somebody calls themselves. */
export function belongsTo({ owner, reserve }: Pick<BotRecord, 'owner' | 'reserve'>, who: string): boolean {
  return owner === who && (reserve === null || reserve.phase === 'assigned');
}

/** Whether the bot's process should be alive (a paused bot's process is). */
export function wantsProcess(bot: Pick<BotRecord, 'desired' | 'deleting' | 'restore' | 'move'>): boolean {
  return !bot.deleting && bot.restore === null && !isHeldStill(bot.move) && bot.desired !== 'stopped';
}

/** All slots that are its own: while it moves, that of its other place as well. */
export function placesOf({ placement, move }: Pick<BotRecord, 'placement' | 'move'>): readonly Placement[] {
  const places = [placement, move?.other?.placement ?? null];
  return places.filter((place) => place !== null);
}

/**
 * The generation under which its present place is to know it. Where it only arrives that is one less than where it came from, so
 * that the newest data is always where the highest generation is, whatever copy of the store looks at it.
 */
export function placedGeneration({ generation, move }: Pick<BotRecord, 'generation' | 'move'>): number {
  return move?.phase === 'arriving' ? generation - 1 : generation;
}

/** The same of any container that has a place of it; null: it has none there. */
export function generationAt(
  bot: Pick<BotRecord, 'placement' | 'generation' | 'move'>,
  container: string,
): number | null {
  if (bot.placement?.container === container) return placedGeneration(bot);
  return bot.move?.other?.placement.container === container ? bot.generation - 1 : null;
}

/** Whether the container keeps a slot for it. */
export function isIn(bot: Pick<BotRecord, 'placement' | 'move'>, container: string): boolean {
  return bot.placement?.container === container || bot.move?.other?.placement.container === container;
}
