import type { BackupFacts, KeptBot } from '../domain/backup.ts';
import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import type { RestoreWish } from '../domain/restore.ts';
import { findBot } from './bot-container-mapper.ts';
import type { ApplyContext, Executors } from './executors.ts';
import { uploadName } from './packing.ts';
import { isRefused, keepPresent, replaceData } from './replacing.ts';
import { abandonRestore, failRestore, finishRestore, noteKept } from './restore-changes.ts';
import type { Shelf } from './shelf.ts';

type Content = Pick<KeptBot, 'files' | 'env' | 'args'>;

/** After so long of trying, a bot that had data before goes on with that. */
const PATIENCE_MS = 15 * 60_000;

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
 * taken back. Broken off anywhere it is done again from what is noted; the bot does not run meanwhile. What became of it
 * when an answer was lost, the container knows.
 */
export function restoreExecutor(context: ApplyContext): Executors['restoreBot'] {
  const { store, events, clock } = context;

  const finish = async ({ instanceId }: BotRecord, backup: string, kept: string | null, content: Content | null) => {
    const done = await store.update(finishRestore(instanceId, backup, content));
    if (done !== null) events.emit({ type: 'bot.restored', bot: instanceId, backup, kept }, done.owner);
  };

  const giveUp = async (container: string, record: BotRecord, restore: RestoreWish, error: unknown): Promise<void> => {
    const { instanceId: bot, owner } = record;
    const { backup } = restore;
    const kept = findBot(store.current(), bot).restore?.kept ?? null;
    const placed = restore.replaces ? await isPlaced(context, container, bot, restore) : false;
    // What was refused when the data is there already is the rest of the backup.
    const content = hasCode(error, 'INVALID') ? null : await contentOf(context, restore);
    if (placed === true) return finish(record, backup, kept, content);
    const why = `${messageOf(error)}; ${restore.replaces ? goesOnWith(placed, backup, kept) : isHeld(bot, backup)}`;
    const change = restore.replaces ? abandonRestore(bot, backup) : failRestore(bot, backup, why);
    if ((await store.update(change)) !== null) events.emit({ type: 'bot.restore-failed', bot, backup, why }, owner);
  };

  return async ({ container, bot, generation }) => {
    const record = findBot(store.current(), bot);
    const { restore } = record;
    if (restore === null || restore.failed !== null || record.generation !== generation) return;
    try {
      const kept = restore.kept ?? (await notePresent(context, container, record, restore));
      const content = await contentOf(context, restore);
      const placed = await isPlaced(context, container, bot, restore);
      if (placed !== true) await replace(context, container, record, restore);
      await finish(record, restore.backup, kept, content);
    } catch (error) {
      if (!isVain(restore, error, clock.now())) throw error;
      await giveUp(container, record, restore, error);
    }
  };
}

// Private

/** Whether to try no more. A bot that was made for it has nothing to go back to: only a refusal ends that. */
function isVain({ since, replaces }: RestoreWish, error: unknown, now: number): boolean {
  if (isRefused(error)) return true;
  return replaces && now - Date.parse(since) > PATIENCE_MS;
}

function goesOnWith(placed: false | null, backup: string, kept: string | null): string {
  if (placed === false || kept === null) return 'it goes on with the data it had';
  return `its container cannot say whether it goes on with the data it had, which is kept as ${kept}, or with that of ${backup}`;
}

function isHeld(bot: string, backup: string): string {
  const again = `bunkhouse backups restore ${backup} --as ${bot}, with --force for what is damaged or no file`;
  return `${bot} has no data and is held: delete it, or try again (${again})`;
}

/** One name for each wish, so that what is sent for one is never taken for another's. */
const uploadOf = ({ backup, since }: RestoreWish): string => uploadName(backup, since);

/** Whether the data is that of the backup already. Null: the container is of a version that cannot say. */
async function isPlaced(
  { agents }: ApplyContext,
  container: string,
  bot: string,
  restore: RestoreWish,
): Promise<boolean | null> {
  try {
    return await (await agents.get(container)).restored(bot, uploadOf(restore));
  } catch (error) {
    if (hasCode(error, 'UNSUPPORTED')) return null;
    throw error;
  }
}

/** What else comes back with the data in place; null: nobody wrote that down. */
async function contentOf(context: ApplyContext, { backup, replaces }: RestoreWish): Promise<Content | null> {
  const found = replaces ? await findBackup(context, backup) : null;
  const kept = (await found?.shelf.bot(backup)) ?? null;
  return kept === null ? null : { files: kept.files, env: kept.env, args: kept.args };
}

/** Noted before anything is replaced, so that it is never the restored data that is taken for the present. */
async function notePresent(
  context: ApplyContext,
  container: string,
  record: BotRecord,
  { replaces }: RestoreWish,
): Promise<string | null> {
  if (!replaces) return null;
  const { id } = await keepPresent(context, container, record);
  await context.store.update(noteKept(record.instanceId, id));
  return id;
}

async function replace(
  context: ApplyContext,
  container: string,
  record: BotRecord,
  restore: RestoreWish,
): Promise<void> {
  const { backup, tolerate } = restore;
  const found = await findBackup(context, backup);
  if (found === null) throw gone(backup);
  const { shelf, facts } = found;
  await replaceData(context, container, record, {
    upload: uploadOf(restore),
    chunks: existing(backup, shelf.content(facts)),
    generation: record.generation,
    limit: 'own',
    tolerate,
  });
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
