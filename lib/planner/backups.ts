/** One bot as the schedule sees it. Times in ms since the epoch. */
export interface BackupNeed {
  readonly bot: string;
  readonly createdAt: number;
  /** The last whose databases were whole. */
  readonly lastGoodAt: number | null;
  /** Not before, because the last try failed. */
  readonly retryAt: number | null;
}

export interface Round {
  /** When the schedule last said so. */
  readonly at: number;
  /** Over how long its backups are spread. */
  readonly spreadMs: number;
}

/**
 * Which bots need a backup now: those of the present round whose turn has come. A round that was missed is made good, and
 * whoever had a backup since it began needs none. Pure.
 */
export function dueBackups(needs: readonly BackupNeed[], round: Round, now: number): string[] {
  return needs.filter((need) => isDue(need, round, now)).map(({ bot }) => bot);
}

/** Its turn within a round: the same in every round, and evenly spread over all bots. */
export function turnOf(bot: string, spreadMs: number): number {
  return Math.floor((hash(bot) / 2 ** 32) * spreadMs);
}

// Private

function isDue({ bot, createdAt, lastGoodAt, retryAt }: BackupNeed, { at, spreadMs }: Round, now: number): boolean {
  if (createdAt > at || (lastGoodAt !== null && lastGoodAt >= at)) return false;
  return now >= Math.max(at + turnOf(bot, spreadMs), retryAt ?? 0);
}

/** FNV-1a, then mixed, because ids that differ in their last digit only must not come one after the other. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
