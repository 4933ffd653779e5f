import { type Command, Option } from 'commander';
import type { BotView } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import type { Context } from '../context.ts';
import { show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { type WaitOptions, waitOption, waitSeconds } from '../options.ts';
import { plain } from '../text.ts';
import { botPath, stateLine, waitForBot, waitUntilGone } from '../wait.ts';

interface Verb {
  readonly name: 'start' | 'stop' | 'pause' | 'restart';
  readonly summary: string;
  readonly done: (bot: BotView, before: BotView) => boolean;
}

const VERBS: readonly Verb[] = [
  { name: 'start', summary: 'want bots running; resumes paused ones', done: (bot) => bot.state === 'running' },
  { name: 'stop', summary: 'want bots stopped; they stay stopped', done: (bot) => bot.state === 'stopped' },
  { name: 'pause', summary: 'want bots paused, where the template can', done: (bot) => bot.state === 'running' },
  {
    name: 'restart',
    summary: 'restart bots once',
    done: (bot, before) => bot.state === 'running' && bot.pid !== before.pid,
  },
];

/** `start`, `stop`, `pause`, `restart` and `delete`: wishes about bots. Asking again changes nothing. */
export function desiredCommands(bots: Command): void {
  for (const verb of VERBS) {
    const command = bots.command(verb.name).argument('<ids...>').description(verb.summary).addOption(waitOption());
    action<WaitOptions>(command, async ({ context, args, options }) => {
      const seconds = waitSeconds(options);
      for (const id of args) await wish(context, verb, { id, seconds });
    });
  }
  const remove = bots
    .command('delete')
    .argument('<ids...>')
    .description('stop bots, archive their data and forget them')
    .addOption(waitOption())
    .addOption(new Option('--if-exists', 'a bot that is not there is no error'));
  action<WaitOptions & { ifExists?: boolean }>(remove, async ({ context, args, options }) => {
    const seconds = waitSeconds(options);
    for (const id of args) await forget(context, { id, seconds, ifExists: options.ifExists ?? false });
  });
}

async function wish(
  context: Context,
  verb: Verb,
  { id, seconds }: { id: string; seconds: number | null },
): Promise<void> {
  const before = await context.client.call<BotView>('GET', botPath(id));
  const asked = await context.client.call<BotView>('POST', botPath(id, `/${verb.name}`));
  const wait = { instanceId: id, seconds: seconds ?? 0, to: verb.name };
  const reply =
    seconds === null ? asked : await waitForBot(context, { ...wait, until: (bot) => verb.done(bot, before.json) });
  show(context, reply, (bot) => line(bot, seconds === null));
}

async function forget(
  context: Context,
  { id, seconds, ifExists }: { id: string; seconds: number | null; ifExists: boolean },
): Promise<void> {
  const reply = await context.client.call<BotView>('DELETE', botPath(id)).catch(absent);
  if (reply instanceof CliFailure && !ifExists) throw reply;
  if (reply instanceof CliFailure) {
    if (!context.json) context.print(`${id}: not there\n`);
    return;
  }
  if (seconds !== null) await waitUntilGone(context, id, seconds);
  show(context, reply, () => `${id}: ${seconds === null ? 'will be stopped, archived and forgotten' : 'deleted'}\n`);
}

/** A NOT_FOUND as a value; any other error goes on. */
function absent(error: unknown): CliFailure {
  if (error instanceof CliFailure && error.exitCode === EXIT.notFound) return error;
  throw error;
}

const line = (bot: BotView, justAsked: boolean): string =>
  `${bot.instanceId}: ${justAsked ? `wanted ${bot.desired}, now ` : ''}${plain(stateLine(bot))}\n`;
