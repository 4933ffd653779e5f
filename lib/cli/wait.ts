import type { BotView } from '../services/pool-api.ts';
import type { Reply } from './client.ts';
import type { Context } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { CliFailure } from './failure.ts';

const EVERY_MS = 300;

export interface Wait {
  readonly instanceId: string;
  readonly seconds: number;
  /** What is waited for, to follow "waiting for ID to": `run`, `stop`. */
  readonly to: string;
  readonly until: (bot: BotView) => boolean;
  /** Ends the waiting with its reason. */
  readonly signal?: AbortSignal;
}

/** Watches a bot until it is as wanted and returns it. Throws CliFailure `timedOut` with its state and reason. */
export async function waitForBot(
  context: Context,
  { instanceId, seconds, to, until, signal }: Wait,
): Promise<Reply<BotView>> {
  const end = context.now() + seconds * 1000;
  for (;;) {
    signal?.throwIfAborted();
    const reply = await context.client.call<BotView>('GET', botPath(instanceId));
    const bot = reply.json;
    if (until(bot)) {
      context.progress.clear();
      return reply;
    }
    if (context.now() >= end) throw timedOut(bot, seconds, to);
    context.progress.update(`waiting for ${instanceId} to ${to}: ${stateLine(bot)}`);
    await context.sleep(EVERY_MS, signal);
  }
}

/** Waits until the bot is forgotten. */
export async function waitUntilGone(context: Context, instanceId: string, seconds: number): Promise<void> {
  try {
    await waitForBot(context, { instanceId, seconds, to: 'be deleted', until: () => false });
  } catch (error) {
    if (!(error instanceof CliFailure && error.exitCode === EXIT.notFound)) throw error;
    context.progress.clear();
  }
}

export const botPath = (instanceId: string, rest = ''): string => `/api/bots/${encodeURIComponent(instanceId)}${rest}`;

export const leasePath = (id: string, rest = ''): string => `/api/leases/${encodeURIComponent(id)}${rest}`;

export const stateLine = (bot: BotView): string =>
  bot.reason === '' ? `${bot.state}` : `${bot.state} (${bot.reason})`;

function timedOut(bot: BotView, seconds: number, to: string): CliFailure {
  return new CliFailure(
    EXIT.timedOut,
    `${bot.instanceId} did not ${to} within ${seconds} s: it is ${stateLine(bot)}.`,
    { next: `See its output: bunkhouse logs ${bot.instanceId}. It is still wanted so; nothing was taken back.` },
  );
}
