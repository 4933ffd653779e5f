import type { BackupFacts } from '../domain/backup.ts';

const DAY_MS = 86_400_000;

export interface Kept {
  readonly archives: readonly BackupFacts[];
  readonly backups: readonly BackupFacts[];
}

export interface Expired {
  readonly archives: readonly string[];
  readonly backups: readonly string[];
}

/**
 * Ids of what is kept of deleted bots for longer than that. Pure. A bot counts as deleted when its archive says so, and never
 * because nobody knows it: several supervisors may keep their backups in one place, and a state may have been lost. What
 * was made of it before is then thrown away too, each that long after it was made, so the archive, which is the last, goes last.
 * Backups of a bot that lives are its own retention's.
 */
export function planExpiry(
  { archives, backups }: Kept,
  isLiving: (bot: string, owner: string | null) => boolean,
  { days, now }: { readonly days: number; readonly now: number },
): Expired {
  const isOld = ({ createdAt }: BackupFacts): boolean => now - Date.parse(createdAt) > days * DAY_MS;
  // Without an owner it may be what a lost state left in a container: nobody decided to delete that.
  const ends = archives.filter(({ kind, owner }) => kind === 'deleted' && owner !== null);
  const deleted = new Map<string, string>();
  for (const facts of ends) {
    const before = deleted.get(nameOf(facts));
    if (before === undefined || before < facts.createdAt) deleted.set(nameOf(facts), facts.createdAt);
  }
  const isLeftOver = (facts: BackupFacts): boolean =>
    facts.createdAt <= (deleted.get(nameOf(facts)) ?? '') && !isLiving(facts.bot, facts.owner);
  return {
    archives: ends.filter(isOld).map(({ id }) => id),
    backups: backups.filter((facts) => isOld(facts) && isLeftOver(facts)).map(({ id }) => id),
  };
}

// Private

/** One of the same id that another owner had was another bot. */
const nameOf = ({ bot, owner }: BackupFacts): string => `${bot} ${owner}`;
