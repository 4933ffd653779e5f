import { type Command, Option } from 'commander';
import type { BotView, MoveBot } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import { type Context, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { type WaitOptions, waitOption, waitSeconds } from '../options.ts';
import { plain } from '../text.ts';
import { botPath, stateLine, waitForBot } from '../wait.ts';

interface Ways extends WaitOptions {
  readonly to?: string;
  readonly location?: string;
}

const HELP = `
A bot that moves is stopped where it is, its data is carried to the other container, and it has to show there that it is well and has
all it had. If it does not, it goes back to where it was with all its data; with --wait that is exit code ${EXIT.failed}.`;

/** `move`, `eject` and `pool`: bots to other containers. */
export function moveCommands(bots: Command): void {
  const move = bots
    .command('move')
    .argument('<ids...>')
    .description('move bots with their data to another container of their pool, or to where you say')
    .addOption(
      new Option('--to <container>', 'a container by its name, as `bunkhouse status` shows it').conflicts('location'),
    )
    .addOption(new Option('--location <name>', 'a container of another location'))
    .addOption(waitOption())
    .addHelpText('after', HELP);
  action<Ways>(move, async ({ context, args, options }) => {
    const { to, location } = options;
    const request = { ...(to === undefined ? {} : { to }), ...(location === undefined ? {} : { location }) };
    await moveAll(context, args, request, options);
  });
  way(bots, 'eject', 'alone', 'move bots out of the pool, each to a container of its own');
  way(bots, 'pool', 'pool', 'move bots that have a container of their own into the pool');
}

// Private

function way(bots: Command, name: string, to: string, description: string): void {
  const command = bots
    .command(name)
    .argument('<ids...>')
    .description(description)
    .addOption(waitOption())
    .addHelpText('after', HELP);
  action<WaitOptions>(command, ({ context, args, options }) => moveAll(context, args, { to }, options));
}

/** One after the other, so that a place where nothing works is noticed with the first. */
async function moveAll(
  context: Context,
  ids: readonly string[],
  request: MoveBot,
  options: WaitOptions,
): Promise<void> {
  const seconds = waitSeconds(options);
  for (const id of ids) await moveOne(context, id, request, seconds);
}

async function moveOne(context: Context, id: string, request: MoveBot, seconds: number | null): Promise<void> {
  const { json: before } = await context.client.call<BotView>('GET', botPath(id));
  const asked = await context.client.call<BotView>('POST', botPath(id, '/move'), { body: request });
  if (seconds === null) {
    show(context, asked, ({ move }) => `${id}: on its way to ${move?.to ?? 'where it is already'}\n`);
    return;
  }
  let undone: string | null = null;
  const reply = await waitForBot(context, {
    instanceId: id,
    seconds,
    to: `move to ${asked.json.move?.to ?? 'its new place'}`,
    until: ({ move }) => {
      undone ??= move?.undone ?? null;
      return move === null;
    },
  });
  if (undone !== null || reply.json.container === before.container) throw failed(reply.json, undone);
  show(context, reply, (bot) => `${id}: in ${bot.container} now, ${plain(stateLine(bot))}\n`);
}

function failed({ instanceId, container }: BotView, why: string | null): CliFailure {
  const reason = why === null ? '' : `: ${plain(why)}`;
  return new CliFailure(EXIT.failed, `${instanceId} is back in ${container}, with all its data${reason}.`, {
    next: `See its output: bunkhouse logs ${instanceId}. Then move it again.`,
  });
}
