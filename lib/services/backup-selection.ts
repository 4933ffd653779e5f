import { type BackupFacts, isGood } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import type { Template } from '../domain/template.ts';

/** Whether a round of backups has to do with it. */
export function mayBeBackedUp({ reserve, deleting, restore, placement }: BotRecord): boolean {
  return reserve === null && !deleting && restore === null && placement !== null;
}

/** The newest good backup of each bot. */
export function newestGood(backups: Iterable<BackupFacts>): Map<string, BackupFacts> {
  const newest = new Map<string, BackupFacts>();
  for (const facts of backups) {
    const before = newest.get(facts.bot);
    if (isGood(facts) && (before === undefined || before.createdAt < facts.createdAt)) newest.set(facts.bot, facts);
  }
  return newest;
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
