import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Candidate, MigrationAnswer, MigrationOverview, MigrationView } from '../../services/migration-api.ts';
import { action } from '../action.ts';
import { type Context, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure, usageFailure } from '../failure.ts';
import { dryRunText } from '../migration/candidate-text.ts';
import { follow, migrationPath } from '../migration/follow.ts';
import { migrationText, refusedText, statusText, summaryText } from '../migration/migration-text.ts';
import { exitCodeOfMoves } from '../migration/outcome.ts';

interface Options {
  readonly execute?: boolean;
  readonly status?: boolean;
  readonly rollback?: string;
  readonly finish?: string;
  readonly only?: readonly string[];
  readonly from?: string;
  readonly parallel?: string;
  readonly keepDays?: string;
}

const MODES = ['execute', 'status', 'rollback', 'finish'] as const;
type Mode = (typeof MODES)[number] | 'dryRun';

/** What each way of the command understands beside what all do. */
const TAKES: Readonly<Record<Mode, readonly (keyof Options)[]>> = {
  dryRun: ['only', 'from'],
  execute: ['only', 'from', 'parallel', 'keepDays'],
  status: ['only'],
  rollback: [],
  finish: [],
};
const FLAGS: Readonly<Record<keyof Options, string>> = {
  execute: '--execute',
  status: '--status',
  rollback: '--rollback',
  finish: '--finish',
  only: '--only',
  from: '--from',
  parallel: '--parallel',
  keepDays: '--keep-days',
};

const HELP = `
Without --execute, --status, --rollback or --finish it is a dry run: it looks, tells what would be done, and changes nothing.

A bot is moved like this: its old container is kept from being restarted, stopped and seen dead; its database and files are
copied; the bot starts in the pool and has to show that it is well and has every row. What fails goes back by itself: the old
container runs again as before. No bot ever runs twice. The old container is kept until --finish, its files for good.

The supervisor does the work. When this command or the supervisor is ended meanwhile, run it again: it goes on where it was.

Exit code of --execute: 0 all moved, 8 some, 1 none.

Examples:
  bunkhouse migrate                              what could be moved
  bunkhouse migrate --execute --only alice.1     one first
  bunkhouse migrate --execute --parallel 4       then all the others
  bunkhouse migrate --rollback alice.1           back to its old container, with the trades made since
  bunkhouse migrate --finish alice.1             remove its old container`;

/** `migrate`: old deployments, one container each, into the pool and back. */
export function migrateCommand(program: Command): void {
  const command = program
    .command('migrate')
    .description('bring bots that have a container each into the pool; without --execute only say what would be done')
    .option('--execute', 'move every bot that nothing stands in the way of')
    .addOption(new Option('--status', 'how far those are that were begun').conflicts(['execute', 'rollback', 'finish']))
    .addOption(new Option('--rollback <id>', 'back to the old container').conflicts(['execute', 'status', 'finish']))
    .addOption(
      new Option('--finish <id>', 'remove the old container, not its files').conflicts([
        'execute',
        'status',
        'rollback',
      ]),
    )
    .option('--only <id...>', 'these bots alone')
    .option('--from <folder>', "a folder of the supervisor's machine that holds deployments as OWNER/ID/ as well")
    .option('--parallel <number>', 'with --execute: so many on their way at once, 1 to 16 (2)')
    .option('--keep-days <days>', 'with --execute: remove the old containers after so many days (when asked)')
    .addHelpText('after', HELP);
  action<Options>(command, async ({ context, options }) => {
    const mode = modeOf(options);
    switch (mode) {
      case 'dryRun':
        return dryRun(context, options);
      case 'execute':
        return execute(context, options);
      case 'status':
        return status(context, options);
      case 'rollback':
      case 'finish':
        return change(context, mode, options);
    }
  });
}

// Private

/** Throws CliFailure `usage` for an option that would do nothing. */
function modeOf(options: Options): Mode {
  const mode = MODES.find((name) => options[name] !== undefined) ?? 'dryRun';
  const idle = (['only', 'from', 'parallel', 'keepDays'] as const).find(
    (name) => options[name] !== undefined && !TAKES[mode].includes(name),
  );
  if (idle === undefined) return mode;
  const where = Object.entries(TAKES)
    .filter(([, names]) => names.includes(idle))
    .map(([name]) => name);
  const flags = where.filter((name) => name !== 'dryRun').map((name) => FLAGS[name as keyof Options]);
  throw usageFailure(`${FLAGS[idle]} does nothing here.`, `It goes with ${flags.join(' and ')}.`);
}

async function dryRun(context: Context, { only, from }: Options): Promise<void> {
  const found = await look(context, from);
  if (only === undefined) return show(context, found, (overview) => dryRunText(overview, context.columns));
  const { candidates, migrations, foreign, trouble } = found.json;
  const known = [...candidates, ...migrations].map(({ id }) => id);
  mustKnow(only, known);
  const chosen = {
    candidates: candidates.filter(({ id }) => only.includes(id)),
    migrations: migrations.filter(({ id }) => only.includes(id)),
    foreign: foreign.filter(({ id }) => id !== null && only.includes(id)),
    trouble,
  };
  show(context, { json: chosen, text: JSON.stringify(chosen) }, (overview) => dryRunText(overview, context.columns));
}

async function execute(context: Context, { only, from, parallel, keepDays }: Options): Promise<void> {
  const body = {
    ...(only === undefined ? {} : { only }),
    ...(from === undefined ? {} : { from: resolve(from) }),
    ...(parallel === undefined ? {} : { parallel: whole(parallel, '--parallel', 1, 16) }),
    ...(keepDays === undefined ? {} : { keepDays: whole(keepDays, '--keep-days', 0, 3650) }),
  };
  const { migrations: begun, refused } = (
    await context.client.call<MigrationAnswer>('POST', '/api/migrations', { body })
  ).json;
  context.note(refusedText(refused));
  const migrations = await follow(context, begun);
  const outcome = { migrations, refused: refused.map(({ id }) => id) };
  context.print(context.json ? `${jsonOf(migrations, refused)}\n` : summaryText(outcome));
  context.exitWith(exitCodeOfMoves(outcome));
}

const jsonOf = (migrations: readonly MigrationView[], refused: readonly Candidate[]): string =>
  JSON.stringify({ migrations, refused });

async function status(context: Context, { only }: Options): Promise<void> {
  const { migrations } = (await look(context, undefined)).json;
  if (only !== undefined)
    mustKnow(
      only,
      migrations.map(({ id }) => id),
    );
  const chosen = only === undefined ? migrations : migrations.filter(({ id }) => only.includes(id));
  const json = { migrations: chosen };
  show(context, { json, text: JSON.stringify(json) }, () =>
    only === undefined ? statusText(chosen, context.columns) : chosen.map(migrationText).join('\n'),
  );
}

const ENDS = { rollback: 'rolled-back', finish: 'finished' } as const;

/** Exit code `failed` when it ended otherwise than asked. */
async function change(context: Context, mode: 'rollback' | 'finish', options: Options): Promise<void> {
  const id = options[mode] ?? '';
  const begun = (await context.client.call<MigrationView>('POST', migrationPath(id, `/${mode}`))).json;
  const [ended = begun] = await follow(context, [begun]);
  show(context, { json: ended, text: JSON.stringify(ended) }, migrationText);
  if (ended.phase !== ENDS[mode]) context.exitWith(EXIT.failed);
}

const look = (context: Context, from: string | undefined) =>
  context.client.call<MigrationOverview>('GET', '/api/migrations', {
    query: { from: from === undefined ? undefined : resolve(from) },
  });

function mustKnow(ids: readonly string[], known: readonly string[]): void {
  const missing = ids.filter((id) => !known.includes(id));
  if (missing.length === 0) return;
  throw new CliFailure(EXIT.notFound, `No such bot to move: ${missing.join(', ')}.`, {
    next: 'bunkhouse migrate shows all; --from FOLDER looks through a folder as well.',
  });
}

function whole(text: string, option: string, from: number, to: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= from && number <= to) return number;
  throw usageFailure(`${option} takes a whole number from ${from} to ${to}, not ${JSON.stringify(text)}.`);
}
