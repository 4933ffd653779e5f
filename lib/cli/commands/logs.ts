import type { Command } from 'commander';
import { action } from '../action.ts';
import type { Piece } from '../bot-log.ts';
import type { Context } from '../context.ts';
import { show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { safeOutput } from '../text.ts';
import { botPath } from '../wait.ts';

interface LogOptions {
  readonly tail: string;
  readonly follow?: boolean;
}

const RETRY_MS = 2000;

/** `logs ID`, short for `bots logs ID`. */
export function logsCommand(program: Command): void {
  botLogsCommand(program);
}

/** Adds `logs ID` to this command. */
export function botLogsCommand(parent: Command): void {
  const command = parent.command('logs').argument('<id>').description('output of a bot');
  logAction(command, ([id = '']) => botPath(id, '/logs'));
}

/** Adds `service-logs CONTAINER SERVICE`. */
export function serviceLogsCommand(parent: Command): void {
  const command = parent
    .command('service-logs')
    .argument('<container>')
    .argument('<service>')
    .description('output of a shared service');
  logAction(
    command,
    ([container = '', service = '']) =>
      `/api/pool/containers/${encodeURIComponent(container)}/services/${encodeURIComponent(service)}/logs`,
  );
}

function logAction(command: Command, pathOf: (args: readonly string[]) => string): void {
  command
    .option('-f, --follow', 'go on with what it writes from now on, also across its restarts')
    .option('-n, --tail <lines>', 'how many lines to begin with', '200');
  action<LogOptions>(command, async ({ context, args, options }) => {
    const path = pathOf(args);
    if (options.follow) return follow(context, path, options.tail);
    const reply = await context.client.call<Piece>('GET', path, { query: { tail: options.tail } });
    show(context, reply, ({ data }) => output(context, data));
  });
}

/** Until Ctrl-C. A lost connection or container is waited for; a bot that is gone, or a refusal, ends it. */
async function follow(context: Context, logs: string, tail: string): Promise<void> {
  const path = `${logs}?${new URLSearchParams({ follow: 'true', tail })}`;
  const signal = new AbortController().signal;
  let lastEventId = '';
  for (let begun = false; ; ) {
    try {
      for await (const event of context.client.stream(path, { lastEventId, signal })) {
        begun = true;
        lastEventId = event.id;
        context.print(context.json ? `${event.data}\n` : output(context, (JSON.parse(event.data) as Piece).data));
      }
    } catch (error) {
      if (!begun || !passing(error)) throw error;
      context.note(`bunkhouse: ${error.message} Trying again.\n`);
    }
    await context.sleep(RETRY_MS);
  }
}

const passing = (error: unknown): error is CliFailure =>
  error instanceof CliFailure && error.exitCode === EXIT.unavailable;

const output = (context: Context, data: string): string => (context.columns > 0 ? safeOutput(data) : data);
