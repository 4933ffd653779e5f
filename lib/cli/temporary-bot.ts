import { randomBytes } from 'node:crypto';
import { messageOf } from '../domain/errors.ts';
import type { BotView } from '../services/pool-api.ts';
import { tailOf } from './bot-log.ts';
import type { Context } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { CliFailure } from './failure.ts';
import { plain } from './text.ts';
import { botPath, stateLine, waitForBot, waitUntilGone } from './wait.ts';

/** A bot that is made to find something out, and deleted whatever happens. */
export interface TemporaryBot {
  readonly view: BotView;
  /** Aborted by Ctrl-C, with a CliFailure. */
  readonly signal: AbortSignal;
}

const START_SECONDS = 300;
const GONE_SECONDS = 120;
const POLL_MS = 1000;
const LAST_LINES = 12;
/** What Python writes of itself under PYTHONVERBOSE. */
const PYTHON_IS_READY = /^Type "help"/;
const ABOUT_IMPORTS = /^(# |import )/;
const FALLEN: readonly BotView['state'][] = ['backoff', 'failed', 'stopping', 'stopped'];

/** For the help of commands that make one. */
export const REALLY_RUNS = `
The bot really runs: give it no account that another bot uses. For FreqTrade that means "dry_run": true, without keys.`;

/** Nobody else's: what bears it may be deleted. */
export const temporaryId = (purpose: string): string => `${purpose}-${randomBytes(6).toString('hex')}`;

/** Creates the bot of this request, has `work` done with it, and deletes it: also after failures and Ctrl-C. */
export async function withTemporaryBot<T>(
  context: Context,
  body: { readonly instanceId: string },
  work: (bot: TemporaryBot) => Promise<T>,
): Promise<T> {
  // That somebody answers and knows the token is seen before there is anything to delete.
  await context.client.call('GET', '/api/bots', { query: { limit: '1' } });
  const interrupt = new AbortController();
  const release = context.onInterrupt(() => interrupt.abort(new CliFailure(EXIT.failed, 'Interrupted.')));
  try {
    const { json: view } = await context.client.call<BotView>('POST', '/api/bots', { body });
    return await work({ view, signal: interrupt.signal });
  } catch (error) {
    context.progress.clear();
    throw error;
  } finally {
    await remove(context, body.instanceId);
    release();
  }
}

/** Waits until the bot runs and lets it run that long. Throws CliFailure with its last words when it does not stay up. */
export async function letRun(context: Context, { view, signal }: TemporaryBot, seconds: number): Promise<BotView> {
  const { instanceId } = view;
  const until = ({ state }: BotView): boolean => state === 'running' || FALLEN.includes(state);
  const wait = { instanceId, seconds: START_SECONDS, to: 'run', until, signal };
  const begun = await waitForBot(context, wait).catch(withoutAdvice);
  await refuseFallen(context, begun.json);
  const end = context.now() + seconds * 1000;
  for (;;) {
    signal.throwIfAborted();
    const { json } = await context.client.call<BotView>('GET', botPath(instanceId));
    await refuseFallen(context, json);
    const left = end - context.now();
    if (left <= 0) {
      context.progress.clear();
      return json;
    }
    context.progress.update(`${instanceId} is left to run for ${seconds} s`);
    await context.sleep(Math.min(POLL_MS, left), signal);
  }
}

// Private

/** The usual advice is for a bot that stays. */
function withoutAdvice(error: unknown): never {
  if (error instanceof CliFailure && error.exitCode === EXIT.timedOut)
    throw new CliFailure(EXIT.timedOut, error.message);
  throw error;
}

async function refuseFallen(context: Context, bot: BotView): Promise<void> {
  if (bot.restarts === 0 && !FALLEN.includes(bot.state)) return;
  const said = await lastWords(context, bot.instanceId);
  throw new CliFailure(EXIT.failed, `${bot.instanceId} does not stay up: it is ${stateLine(bot)}.`, {
    next: said.length === 0 ? 'It wrote nothing.' : `Its last output:\n    ${said.join('\n    ')}`,
  });
}

/** The end of its output, of its last start and without what Python says of imports. Read now: the log goes with the bot. */
async function lastWords(context: Context, id: string): Promise<string[]> {
  const data = await tailOf(context.client, id, 10_000).then(
    ({ json }) => json.data,
    () => '',
  );
  const lines = data.split('\n');
  const said = lines.slice(lines.findLastIndex((line) => PYTHON_IS_READY.test(line)) + 1);
  return said
    .filter((line) => line.trim() !== '' && !ABOUT_IMPORTS.test(line))
    .slice(-LAST_LINES)
    .map(plain);
}

/** Never throws: what happened before matters more. A bot that was never made is no failure. */
async function remove(context: Context, instanceId: string): Promise<void> {
  try {
    await context.client.call('DELETE', botPath(instanceId));
    await waitUntilGone(context, instanceId, GONE_SECONDS);
    context.note(`${instanceId} is deleted; its archive stays in the supervisor's folder of archives.\n`);
  } catch (error) {
    context.progress.clear();
    if (error instanceof CliFailure && error.exitCode === EXIT.notFound) return;
    context.note(
      `${instanceId} may still be there: ${messageOf(error)} Delete it: bunkhouse bots delete ${instanceId}\n`,
    );
    context.exitWith(EXIT.failed);
  }
}
