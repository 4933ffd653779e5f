import { type BackupFacts, isGood } from '../domain/backup.ts';
import type { Keep } from '../domain/backup-rule.ts';

const DAY_MS = 86_400_000;
/** What a restore replaced stays at least so long: whoever restored the wrong backup finds out within days. */
const REPLACED_STAYS_MS = 7 * DAY_MS;
/** The first Monday since the epoch was its fifth day. */
const MONDAY = 4;

/**
 * Ids of the backups of one bot that need not be kept. Pure. The newest good one always stays, whatever is set. One
 * that is not good counts for nothing and goes when there is a newer good one. Of those for which there is none as many stay
 * as of good ones, because a bot may never have a good one again, and the first, which was nearest to being whole.
 */
export function planRetention(backups: readonly BackupFacts[], keep: Keep, now: number): string[] {
  const newestFirst = [...backups].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  const good = newestFirst.filter(isGood);
  const newest = good[0]?.createdAt ?? '';
  const bad = newestFirst.filter((backup) => !isGood(backup) && backup.createdAt >= newest);
  const kept = new Set([...chosen(good, keep), ...chosen(bad, keep), ...bad.slice(-1)]);
  return newestFirst.filter((backup) => !kept.has(backup) && !isReplacedLately(backup, now)).map(({ id }) => id);
}

// Private

function chosen(newestFirst: readonly BackupFacts[], { last, daily, weekly }: Keep): BackupFacts[] {
  return [
    ...newestFirst.slice(0, Math.max(1, last)),
    ...newestOfEach(newestFirst, dayOf, daily),
    ...newestOfEach(newestFirst, weekOf, weekly),
  ];
}

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
