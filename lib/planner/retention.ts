import { type BackupFacts, isGood } from '../domain/backup.ts';
import type { Keep } from '../domain/backup-rule.ts';

const DAY_MS = 86_400_000;
/** What a restore replaced stays at least so long: whoever restored the wrong backup finds out within days. */
const REPLACED_STAYS_MS = 7 * DAY_MS;
/** The first Monday since the epoch was its fifth day. */
const MONDAY = 4;

/**
 * Ids of the backups of one bot that need not be kept. Pure. The newest good one always stays, whatever is set. One
 * that is not good counts for nothing, and stays only until there is a newer good one.
 */
export function planRetention(backups: readonly BackupFacts[], keep: Keep, now: number): string[] {
  const newestFirst = [...backups].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  const good = newestFirst.filter(isGood);
  const newest = good[0];
  if (newest === undefined) return [];
  const kept = new Set([
    ...good.slice(0, Math.max(1, keep.last)),
    ...newestOfEach(good, dayOf, keep.daily),
    ...newestOfEach(good, weekOf, keep.weekly),
  ]);
  return newestFirst
    .filter((backup) => !kept.has(backup) && !isReplacedLately(backup, now))
    .filter((backup) => isGood(backup) || backup.createdAt < newest.createdAt)
    .map(({ id }) => id);
}

// Private

function newestOfEach(
  newestFirst: readonly BackupFacts[],
  spanOf: (ms: number) => number,
  spans: number,
): BackupFacts[] {
  const bySpan = Map.groupBy(newestFirst, ({ createdAt }) => spanOf(Date.parse(createdAt)));
  return [...bySpan.values()].slice(0, spans).flatMap(([newest]) => (newest === undefined ? [] : [newest]));
}

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS);
const weekOf = (ms: number): number => Math.floor((dayOf(ms) - MONDAY) / 7);

function isReplacedLately({ kind, createdAt }: BackupFacts, now: number): boolean {
  return kind === 'before-restore' && now - Date.parse(createdAt) < REPLACED_STAYS_MS;
}
