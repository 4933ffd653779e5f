import { type BackupFacts, isGood } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import { isHeldStill } from '../domain/move.ts';
import type { Template } from '../domain/template.ts';

/** Whether a round of backups has to do with it. */
export function mayBeBackedUp({ reserve, deleting, restore, move, placement }: BotRecord): boolean {
  return reserve === null && !deleting && restore === null && !isHeldStill(move) && placement !== null;
}

/** Finds the newest good backup of a bot. One of the same id that another owner had before was another bot. */
export function newestGood(
  backups: Iterable<BackupFacts>,
): (bot: Pick<BotRecord, 'instanceId' | 'owner'>) => BackupFacts | undefined {
  const newest = new Map<string, BackupFacts>();
  for (const facts of backups) {
    const key = `${facts.bot} ${facts.owner}`;
    const before = newest.get(key);
    if (isGood(facts) && (before === undefined || before.createdAt < facts.createdAt)) newest.set(key, facts);
  }
  return ({ instanceId, owner }) => newest.get(`${instanceId} ${owner}`);
}

/** The cron expression that holds for a bot; null: it is backed up only when somebody asks. */
export function scheduleOf(
  { template }: Pick<BotRecord, 'template'>,
  templates: ReadonlyMap<string, Template>,
  setting: string | null,
): string | null {
  const schedule = templates.get(template)?.backup.schedule ?? setting;
  return schedule === 'never' ? null : schedule;
}
