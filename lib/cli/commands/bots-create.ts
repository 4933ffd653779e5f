import { type Command, Option } from 'commander';
import { MODES } from '../../domain/mode.ts';
import type { BotView } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import { type ContentOptions, contentOf, contentOptions } from '../bot-content.ts';
import { show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { type WaitOptions, waitOption, waitSeconds } from '../options.ts';
import { plain } from '../text.ts';
import { botPath, stateLine, waitForBot } from '../wait.ts';

interface CreateOptions extends WaitOptions, ContentOptions {
  readonly template?: string;
  readonly owner?: string;
  readonly group?: string;
  readonly location?: string;
  readonly mode?: string;
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
    .addOption(
      new Option('--mode <mode>', 'share containers, or one of its own (default: as its template says)').choices(MODES),
    );
  contentOptions(command)
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
  const { template, owner, group, location, mode } = options;
  return {
    instanceId,
    ...(template === undefined ? {} : { template }),
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
    ...(location === undefined ? {} : { location }),
    ...(mode === undefined ? {} : { mode }),
    ...contentOf(options),
    desired: options.stopped ? 'stopped' : 'running',
  };
}
