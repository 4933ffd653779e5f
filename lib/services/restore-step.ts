import type { BackupFacts, KeptBot } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import type { RestoreWish } from '../domain/restore.ts';
import { findBot } from './bot-container-mapper.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { keepBackup, sendArchive, uploadName } from './packing.ts';
import { abandonRestore, finishRestore, noteKept } from './restore-changes.ts';
import type { Shelf } from './shelf.ts';

/** After so long of trying, a bot that had data before goes on with that. */
const PATIENCE_MS = 15 * 60_000;

const LARGEST_BYTES = 2 ** 40;

/** Where backups are looked for: those that were made of living bots, then the archives of deleted ones. */
export async function findBackup(
  { backups, archives }: { readonly backups: Shelf; readonly archives: Shelf },
  id: string,
): Promise<{ readonly shelf: Shelf; readonly facts: BackupFacts } | null> {
  for (const shelf of [archives, backups]) {
    const facts = await shelf.find(id);
    if (facts !== null) return { shelf, facts };
  }
  return null;
}

/**
 * How a restore is carried out: the present data is backed up, the archive sent, put in place in one step, and the wish
 * taken back. Broken off anywhere it is done again from what is noted; the bot does not run meanwhile.
 */
export function restoreExecutor(context: ApplyContext): Executors['restoreBot'] {
  const { store, events, clock } = context;

  const goBack = async ({ instanceId, owner }: BotRecord, { backup }: RestoreWish, error: unknown): Promise<void> => {
    if ((await store.update(abandonRestore(instanceId, backup))) === null) return;
    events.emit({ type: 'bot.restore-failed', bot: instanceId, backup, why: messageOf(error) }, owner);
  };

  return async ({ container, bot, generation }) => {
    const record = findBot(store.current(), bot);
    const { restore } = record;
    if (restore === null || record.generation !== generation) return;
    try {
      const kept = restore.kept ?? (await keepPresent(context, container, record, restore));
      const content = await replace(context, container, record, restore);
      const done = await store.update(finishRestore(bot, restore.backup, restore.replaces ? content : null));
      if (done !== null) events.emit({ type: 'bot.restored', bot, backup: restore.backup, kept }, done.owner);
    } catch (error) {
      if (!restore.replaces || !isVain(restore, error, clock.now())) throw error;
      await goBack(record, restore, error);
    }
  };
}

// Private

/** Whether to try no more. */
function isVain({ since }: RestoreWish, error: unknown, now: number): boolean {
  const late = now - Date.parse(since) > PATIENCE_MS;
  return late || hasCode(error, 'INVALID') || hasCode(error, 'UNSUPPORTED');
}

/** Noted before anything is replaced, so that it is never the restored data that is taken for the present. */
async function keepPresent(
  { agents, backups, store, events }: ApplyContext,
  container: string,
  record: BotRecord,
  { replaces }: RestoreWish,
): Promise<string | null> {
  if (!replaces) return null;
  const facts = await keepBackup({ agents, shelf: backups }, container, record, 'before-restore');
  await store.update(noteKept(record.instanceId, facts.id));
  const { id: backup, damaged } = facts;
  events.emit({ type: 'bot.backup', bot: record.instanceId, backup, good: damaged.length === 0 }, record.owner);
  return backup;
}

/** Returns what else belongs to the backup; null: nobody wrote that down. */
async function replace(
  context: ApplyContext,
  container: string,
  record: BotRecord,
  { backup, tolerate }: RestoreWish,
): Promise<Pick<KeptBot, 'files' | 'env' | 'args'> | null> {
  const found = await findBackup(context, backup);
  if (found === null) throw gone(backup);
  const { shelf, facts } = found;
  const agent = await context.agents.get(container);
  const upload = uploadName(backup, record.generation);
  const sha256 = await sendArchive(agent, record.instanceId, upload, existing(backup, shelf.content(facts)));
  const limits = { ...context.templates.get(record.template)?.limits, ...record.limits };
  const maxBytes = limits.diskBytes ?? LARGEST_BYTES;
  await agent.restore(record.instanceId, record.generation, { upload, sha256, maxBytes, tolerate });
  const kept = await shelf.bot(backup);
  return kept === null ? null : { files: kept.files, env: kept.env, args: kept.args };
}

/** What is gone from its vault is so for good, unlike what a container does not find. */
async function* existing(backup: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw hasCode(error, 'NOT_FOUND') ? gone(backup) : error;
  }
}

function gone(backup: string): BunkhouseError {
  return new BunkhouseError('INVALID', `the backup ${backup} is gone`);
}
