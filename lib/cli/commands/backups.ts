import { type Command, Option } from 'commander';
import { BACKUP_KINDS } from '../../domain/backup.ts';
import type { BackupOverview, BackupPage, BackupView, RestoreAnswer } from '../../services/backup-api.ts';
import { action } from '../action.ts';
import { type Context, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { type WaitOptions, waitOption, waitSeconds } from '../options.ts';
import { count, duration, facts, mebibytes, plain, table } from '../text.ts';
import { botPath, waitForBot } from '../wait.ts';

const EVERY_MS = 500;

/** `bots backup`: one bot now. */
export function botBackupCommand(bots: Command): void {
  const command = bots.command('backup').argument('<ids...>').description('back bots up now, while they go on running');
  action(command, async ({ context, args }) => {
    for (const id of args) {
      context.progress.update(`backing ${id} up`);
      const reply = await context.client.call<BackupView>('POST', botPath(id, '/backup'));
      context.progress.clear();
      show(context, reply, (backup) => `${plain(id)}: ${backup.id}, ${mebibytes(backup.bytes)}${concern(backup)}\n`);
    }
  });
}

/** `backups …`: what is kept of bots, deleted ones too, and how they come back. */
export function backupsCommands(program: Command): void {
  const backups = program.command('backups').description('backups of bots and archives of deleted ones');
  for (const part of [listCommand, showCommand, restoreCommand, deleteCommand, runCommand, statusCommand])
    part(backups);
}

// Private

const backupPath = (id: string, rest = ''): string => `/api/backups/${encodeURIComponent(id)}${rest}`;

function listCommand(backups: Command): void {
  const command = backups
    .command('list')
    .description('what there is, oldest first of each bot')
    .option('--bot <id>', 'only of this bot')
    .option('--owner <id>', 'only of bots of this owner')
    .addOption(new Option('--kind <kind>', 'only those made for this reason').choices(BACKUP_KINDS))
    .option('--after <backup>', 'go on after this one')
    .option('--limit <number>', 'at most so many (200)');
  action<Record<'bot' | 'owner' | 'kind' | 'after' | 'limit', string | undefined>>(
    command,
    async ({ context, options }) => {
      const { bot, owner, kind, after, limit } = options;
      const reply = await context.client.call<BackupPage>('GET', '/api/backups', {
        query: { bot, owner, kind, after, limit },
      });
      show(context, reply, (page) => listText(page, context.columns));
    },
  );
}

function showCommand(backups: Command): void {
  const command = backups.command('show').argument('<backup>').description('what is known of a backup');
  action(command, async ({ context, args: [id = ''] }) => {
    show(context, await context.client.call<BackupView>('GET', backupPath(id)), backupText);
  });
}

interface RestoreOptions extends WaitOptions {
  readonly as?: string;
  readonly owner?: string;
  readonly start?: boolean;
  readonly force?: boolean;
}

function restoreCommand(backups: Command): void {
  const command = backups
    .command('restore')
    .argument('<backup>')
    .description(
      'bring a bot back: in place (its present data is kept as a backup), or as a new bot, which stays stopped',
    )
    .option('--as <id>', 'as a new bot of this id')
    .option('--owner <id>', 'of the new bot (administrators)')
    .option('--start', 'start a bot that is made')
    .option('--force', 'take damaged databases as well, and leave out links that lead out of it and what is no file')
    .addOption(waitOption());
  action<RestoreOptions>(command, async ({ context, args: [id = ''], options }) => {
    const { as, owner, start, force } = options;
    const body = { ...(as && { as }), ...(owner && { owner }), ...(start && { start }), ...(force && { force }) };
    context.progress.update(`checking ${id}`);
    const reply = await context.client.call<RestoreAnswer>('POST', backupPath(id, '/restore'), { body });
    context.progress.clear();
    const seconds = waitSeconds(options);
    if (seconds !== null) await waitUntilRestored(context, reply.json, seconds);
    show(context, reply, ({ notes }) => notes.map((note) => `${plain(note)}\n`).join(''));
  });
}

/** Until the data is there and the bot as it is wanted. */
async function waitUntilRestored(context: Context, { bot, backup }: RestoreAnswer, seconds: number): Promise<void> {
  const { instanceId, desired } = bot;
  const end = context.now() + seconds * 1000;
  for (;;) {
    const query = { bot: instanceId };
    const { bots } = (await context.client.call<BackupOverview>('GET', '/api/backups/overview', { query })).json;
    const restore = bots[0]?.restore ?? null;
    if (restore?.state === 'failed') throw wentBack(context, instanceId, restore.why);
    if (restore?.state !== 'under-way') break;
    if (context.now() >= end) {
      context.progress.clear();
      throw new CliFailure(EXIT.timedOut, `${instanceId} is not restored within ${seconds} s; that goes on.`);
    }
    context.progress.update(`restoring ${instanceId} from ${backup}`);
    await context.sleep(EVERY_MS);
  }
  const state = desired === 'stopped' ? 'stopped' : 'running';
  const left = Math.max(0, end - context.now()) / 1000;
  await waitForBot(context, { instanceId, seconds: left, to: 'come back', until: (now) => now.state === state });
}

function wentBack(context: Context, instanceId: string, why: string): CliFailure {
  context.progress.clear();
  return new CliFailure(EXIT.failed, `${instanceId} was not restored: ${plain(why)}`);
}

function deleteCommand(backups: Command): void {
  const command = backups.command('delete').argument('<backups...>').description('throw backups or archives away');
  action(command, async ({ context, args }) => {
    for (const id of args) {
      show(context, await context.client.call<BackupView>('DELETE', backupPath(id)), () => `${plain(id)}: deleted\n`);
    }
  });
}

function runCommand(backups: Command): void {
  const command = backups
    .command('run')
    .argument('[bots...]')
    .description('back these bots up, or all, a few at a time')
    .addOption(waitOption());
  action<WaitOptions>(command, async ({ context, args, options }) => {
    const body = args.length === 0 ? {} : { bots: args };
    const reply = await context.client.call<{ started: string[] }>('POST', '/api/backups/run', { body });
    const seconds = waitSeconds(options);
    if (seconds !== null) await waitUntilRun(context, reply.json.started, seconds);
    show(
      context,
      reply,
      ({ started }) => `${count(started.length, 'backup')} ${seconds === null ? 'begun' : 'made'}\n`,
    );
  });
}

async function waitUntilRun(context: Context, started: readonly string[], seconds: number): Promise<void> {
  const end = context.now() + seconds * 1000;
  for (;;) {
    const { bots } = (await context.client.call<BackupOverview>('GET', '/api/backups/overview')).json;
    const mine = bots.filter(({ instanceId }) => started.includes(instanceId));
    const left = mine.filter(({ running }) => running).length;
    const failed = mine.filter(({ running, failure }) => !running && failure !== null);
    context.progress.update(`${started.length - left} of ${started.length} done, ${failed.length} failed`);
    if (left > 0 && context.now() >= end) {
      context.progress.clear();
      throw new CliFailure(EXIT.timedOut, `${count(left, 'backup')} not done within ${seconds} s; they go on.`);
    }
    if (left === 0) {
      context.progress.clear();
      if (failed.length === 0) return;
      const why = failed.slice(0, 5).map(({ instanceId, failure }) => `${instanceId}: ${failure?.why}`);
      throw new CliFailure(EXIT.failed, `${count(failed.length, 'backup')} failed: ${why.join('; ')}`, {
        next: 'They are tried again by themselves where there is a schedule; bunkhouse backups status shows all.',
      });
    }
    await context.sleep(EVERY_MS);
  }
}

function statusCommand(backups: Command): void {
  const command = backups.command('status').description('last good backup and failures of each bot');
  action(command, async ({ context }) => {
    const reply = await context.client.call<BackupOverview>('GET', '/api/backups/overview');
    show(context, reply, (overview) => overviewText(overview, context.columns));
  });
}

function overviewText({ place, schedule, keep, trouble, bots }: BackupOverview, columns: number): string {
  const head = facts([
    ['place', trouble === '' ? place : `${place} (${trouble})`],
    ['schedule', schedule ?? 'none (BACKUP_SCHEDULE)'],
    ['keep', keep],
  ]);
  const rows = bots.map(({ instanceId, last, running, failure }) => [
    instanceId,
    last === null ? 'none' : duration(last.ageSeconds),
    running ? 'under way' : failure === null ? '' : `failed ${failure.count}×, again at ${failure.nextTryAt}`,
    failure?.why ?? '',
  ]);
  return `${head}\n${table(['BOT', 'AGE', 'NOW', 'REASON'], rows, columns)}`;
}

function listText({ backups, next }: BackupPage, columns: number): string {
  if (backups.length === 0)
    return 'No backup. bunkhouse bots backup ID makes one; BACKUP_SCHEDULE makes them by itself.\n';
  const rows = backups.map((backup) => [
    backup.id,
    backup.bot,
    backup.owner ?? '-',
    backup.kind,
    mebibytes(backup.bytes),
    backup.good ? 'yes' : 'damaged',
  ]);
  const more = next === null ? '' : `More: --after ${next}\n`;
  return table(['BACKUP', 'BOT', 'OWNER', 'KIND', 'SIZE', 'GOOD'], rows, columns) + more;
}

function backupText(backup: BackupView): string {
  return facts([
    ['backup', backup.id],
    ['bot', backup.bot],
    ['owner', backup.owner ?? 'not known'],
    ['template', backup.template ?? 'not known'],
    ['kind', `${backup.kind}, in the ${backup.shelf}`],
    ['made', backup.createdAt],
    ['size', `${mebibytes(backup.bytes)}, unpacked ${mebibytes(backup.unpackedBytes)}`],
    ['content', `${backup.files ?? '?'} files, ${backup.databases ?? '?'} databases`],
    ['SHA-256', backup.sha256 ?? 'not known'],
    ...backup.damaged.map(({ path, why }) => ['damaged', `${path}: ${why}`] as const),
    ...backup.skipped.map(({ path, why }) => ['left out', `${path}: ${why}`] as const),
  ]);
}

function concern({ damaged, skipped }: BackupView): string {
  const parts = [
    damaged.length === 0 ? '' : `${count(damaged.length, 'database')} damaged`,
    skipped.length === 0 ? '' : `${skipped.length} left out`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : ` (${parts.join(', ')}: bunkhouse backups show …)`;
}
