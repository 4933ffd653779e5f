import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { messageOf } from '../../domain/errors.ts';
import type { BotView } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import { show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure, usageFailure } from '../failure.ts';
import { collect, keyValue, type WaitOptions, waitOption, waitSeconds } from '../options.ts';
import { plain } from '../text.ts';
import { botPath, stateLine, waitForBot } from '../wait.ts';

interface CreateOptions extends WaitOptions {
  readonly template?: string;
  readonly owner?: string;
  readonly group?: string;
  readonly location?: string;
  readonly configFile?: string;
  readonly file?: readonly string[];
  readonly env?: readonly string[];
  readonly arg?: readonly string[];
  readonly stopped?: boolean;
  readonly existsOk?: boolean;
}

const EXAMPLE = `
Example:
  bunkhouse bots create btc-1 --template freqtrade --config-file config.json \\
    --file user_data/strategies/Mine.py=./Mine.py --arg=--strategy --arg=Mine --wait`;

export function createCommand(bots: Command): void {
  const command = bots
    .command('create')
    .argument('<id>')
    .description('create a bot')
    .option('--template <name>', 'what kind of bot (default: DEFAULT_TEMPLATE of the supervisor)')
    .option('--owner <id>', 'whose it is')
    .option('--group <name>', 'trust group: shares containers only within it')
    .option('--location <name>', 'where')
    .option('--config-file <file>', 'same as --file NAME=FILE with the name of the file')
    .option('--file <path=local>', 'a file of the bot, from a local file; repeatable', collect)
    .option('--env <NAME=value>', 'an environment variable; repeatable', collect)
    .option('--arg <argument>', 'an argument after those of the template, as --arg=VALUE; repeatable', collect)
    .option('--stopped', 'do not start it yet')
    .option('--exists-ok', 'a bot of that id, template and owner that is there already is left as it is, and no error')
    .addOption(waitOption())
    .addHelpText('after', EXAMPLE);
  action<CreateOptions>(command, async ({ context, args: [id = ''], options }) => {
    const seconds = waitSeconds(options);
    const body = bodyOf(id, options);
    const created = await context.client.call<BotView>('POST', '/api/bots', { body }).catch(async (error: unknown) => {
      if (!options.existsOk || !(error instanceof CliFailure) || error.exitCode !== EXIT.conflict) throw error;
      const there = await context.client.call<BotView>('GET', botPath(id));
      if (!fits(there.json, options)) throw error;
      return there;
    });
    const { desired } = created.json;
    const wanted = desired === 'stopped' ? 'stopped' : 'running';
    const to = desired === 'stopped' ? 'stop' : 'run';
    const until = (bot: BotView): boolean => bot.state === wanted;
    const reply = seconds === null ? created : await waitForBot(context, { instanceId: id, seconds, to, until });
    show(context, reply, (bot) => `${bot.instanceId}: ${plain(stateLine(bot))}\n`);
  });
}

function fits(bot: BotView, { template, owner }: CreateOptions): boolean {
  return (
    !bot.deleting &&
    (template === undefined || bot.template === template) &&
    (owner === undefined || bot.owner === owner)
  );
}

function bodyOf(instanceId: string, options: CreateOptions): object {
  const { template, owner, group, location } = options;
  const files = Object.fromEntries(filesOf(options).map(([path, local]) => [path, contentOf(local)]));
  const env = Object.fromEntries((options.env ?? []).map((pair) => keyValue(pair, '--env')));
  return {
    instanceId,
    ...(template === undefined ? {} : { template }),
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
    ...(location === undefined ? {} : { location }),
    files,
    env,
    args: options.arg ?? [],
    desired: options.stopped ? 'stopped' : 'running',
  };
}

function filesOf({ configFile, file = [] }: CreateOptions): (readonly [string, string])[] {
  const config = configFile === undefined ? [] : [[basename(configFile), configFile] as const];
  return [...config, ...file.map((pair) => keyValue(pair, '--file'))];
}

function contentOf(local: string): { readonly base64: string } {
  try {
    return { base64: readFileSync(local).toString('base64') };
  } catch (cause) {
    throw usageFailure(`${local} cannot be read: ${messageOf(cause)}.`);
  }
}
