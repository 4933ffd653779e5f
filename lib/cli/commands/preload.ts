import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parsePreloadList } from '../../config/preload-list.ts';
import { messageOf } from '../../domain/errors.ts';
import { action } from '../action.ts';
import { type ContentOptions, contentOf, contentOptions } from '../bot-content.ts';
import { wholeLog } from '../bot-log.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure, usageFailure } from '../failure.ts';
import { positive } from '../options.ts';
import { type Imports, parseImports, RECORDING_ENV } from '../preload/imports.ts';
import { compare, renderList } from '../preload/list.ts';
import { letRun, REALLY_RUNS, temporaryId, withTemporaryBot } from '../temporary-bot.ts';
import { count } from '../text.ts';

interface RunOptions extends ContentOptions {
  readonly seconds: string;
}

interface RecordOptions extends RunOptions {
  readonly out: string;
}

interface CheckOptions extends RunOptions {
  readonly list: string;
}

const HELP = `
Runs a temporary bot of the template, as \`bots create\` would with these options, and deletes it in every case.
Like any deleted bot it leaves an archive. It is executed, never forked, so that all its imports are seen.
${REALLY_RUNS}`;

/** `preload …`: which modules a template's bots have in common. */
export function preloadCommands(program: Command): void {
  const preload = program.command('preload').description('preload lists: the modules that bots of a template share');
  const record = preload
    .command('record')
    .description('run one bot and write the list of the modules it imported')
    .option('--out <file>', 'where to write the list; -: standard output', '-');
  action<RecordOptions>(runOptions(record), async ({ context, args: [template = ''], options }) => {
    const { imports, on } = await runAndRecord(context, template, options);
    const text = renderList(imports, { template, on });
    const said = `${count(imports.modules.length, 'module')} in ${options.out}\n`;
    if (options.out !== '-') write(options.out, text);
    if (context.json) return context.print(`${JSON.stringify({ template, on, ...shown(imports) })}\n`);
    context.print(options.out === '-' ? text : said);
  });
  const check = preload
    .command('check')
    .description('run one bot and compare a list with what it imported; exit code 1 when the list is stale')
    .requiredOption('--list <file>', 'the present list, such as prefork.preloadFrom names');
  action<CheckOptions>(runOptions(check), async ({ context, args: [template = ''], options }) => {
    const listed = readList(options.list);
    const { imports } = await runAndRecord(context, template, options);
    const { missing, unused } = compare(imports, listed);
    const stale = missing.length + unused.length > 0;
    const report = { template, list: options.list, stale, missing, unused };
    context.print(context.json ? `${JSON.stringify(report)}\n` : reportText(report));
    if (stale) context.exitWith(EXIT.failed);
  });
}

// Private

function runOptions(command: Command): Command {
  command.argument('<template>').option('--seconds <seconds>', 'how long it runs once it is up', '60');
  return contentOptions(command).addHelpText('after', HELP);
}

async function runAndRecord(
  context: Context,
  template: string,
  options: RunOptions,
): Promise<{ imports: Imports; on: string }> {
  const seconds = positive(options.seconds, '--seconds');
  const content = contentOf(options);
  const instanceId = temporaryId('preload');
  const body = { instanceId, template, ...content, env: { ...content.env, ...RECORDING_ENV } };
  return withTemporaryBot(context, body, async (bot) => {
    await letRun(context, bot, seconds);
    const imports = parseImports(await wholeLog(context.client, instanceId), instanceId);
    if (imports === null) throw nothingRecorded(template);
    return { imports, on: bot.view.createdAt.slice(0, 10) };
  });
}

function nothingRecorded(template: string): CliFailure {
  return new CliFailure(EXIT.failed, `The log of a bot of template ${template} does not hold the start of a Python.`, {
    next: 'Its command must be a Python without -E and -I; and if it writes more than 10 MiB, record fewer --seconds.',
  });
}

const shown = ({ python, modules }: Imports): object => ({ python, modules });

function readList(file: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw usageFailure(`The list cannot be read: ${messageOf(cause)}.`);
  }
  const { modules, wrong } = parsePreloadList(text);
  const [first] = wrong;
  if (first === undefined) return modules;
  throw usageFailure(`${file}:${first.line}: ${JSON.stringify(first.text)} is not the dotted name of a Python module.`);
}

function write(file: string, text: string): void {
  try {
    // Never half a list under that name: a template may be loaded with it at any time.
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  } catch (cause) {
    throw usageFailure(`The list cannot be written: ${messageOf(cause)}.`);
  }
}

function reportText({
  template,
  list,
  stale,
  missing,
  unused,
}: {
  template: string;
  list: string;
  stale: boolean;
  missing: readonly string[];
  unused: readonly string[];
}): string {
  if (!stale) return `${list} is what a bot of template ${template} imports.\n`;
  const part = (head: string, names: readonly string[]): string[] =>
    names.length === 0 ? [] : [`${head} (${names.length}):`, ...names.map((name) => `  ${name}`)];
  const lines = [
    ...part(`imported, not in ${list}`, missing),
    ...part(`in ${list}, not imported`, unused),
    `Record it anew: bunkhouse preload record ${template} --out ${list}`,
  ];
  return `${lines.join('\n')}\n`;
}
