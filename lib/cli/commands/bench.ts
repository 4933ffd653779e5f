import type { Command } from 'commander';
import type { BotView, PoolStatus } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import { compareMemory, comparisonText, type MemoryComparison, sitsAlone } from '../bench-memory.ts';
import { type ContentOptions, contentOf, contentOptions } from '../bot-content.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { positive } from '../options.ts';
import { letRun, REALLY_RUNS, type TemporaryBot, temporaryId, withTemporaryBot } from '../temporary-bot.ts';
import { botPath } from '../wait.ts';

interface MemoryOptions extends ContentOptions {
  readonly seconds: string;
}

const HELP = `
Runs a temporary bot, as \`bots create\` would with these options, executed and in a trust group of its own, and deletes
it in every case. Like any deleted bot it leaves an archive; its container stays, empty, for the next time or until
\`bunkhouse pool cleanup\`.
${REALLY_RUNS}`;

/** A trust group of the sample's own; where the template isolates owners, an owner of its own does it. */
const APART = [{ group: 'bench-memory' }, { owner: 'bench-memory' }] as const;
const MEASURED_SECONDS = 60;
const SWEEP_EVERY_MS = 3000;

/** `bench …`: measures what cannot be read off a running pool. */
export function benchCommands(program: Command): void {
  const bench = program.command('bench').description('measure what sharing saves here');
  const memory = bench
    .command('memory')
    .argument('[template]')
    .description('what one bot costs in a container of its own, against what the pool takes now')
    .option('--seconds <seconds>', 'how long it runs before it is measured', '60');
  const command = contentOptions(memory).addHelpText('after', HELP);
  action<MemoryOptions>(command, async ({ context, args: [template], options }) => {
    const seconds = positive(options.seconds, '--seconds');
    const measured = await sample(context, { template, options, seconds });
    context.print(context.json ? `${JSON.stringify(measured)}\n` : comparisonText(measured));
  });
}

// Private

interface Wanted {
  readonly template: string | undefined;
  readonly options: MemoryOptions;
  readonly seconds: number;
}

async function sample(context: Context, { template, options, seconds }: Wanted): Promise<MemoryComparison> {
  const content = contentOf(options);
  const run = (apart: object): Promise<MemoryComparison> => {
    const instanceId = temporaryId('bench');
    const env = { ...content.env, BUNKHOUSE_PREFORK: 'off' };
    const body = { instanceId, ...(template === undefined ? {} : { template }), ...content, env, ...apart };
    return withTemporaryBot(context, body, async (bot) => {
      await letRun(context, bot, seconds);
      return measure(context, bot);
    });
  };
  // What else is invalid is so the second time as well, and said then.
  return run(APART[0]).catch((error: unknown) => {
    if (error instanceof CliFailure && error.code === 'INVALID') return run(APART[1]);
    throw error;
  });
}

/** Sweeps first, so that nothing is older than the bot's running time. */
async function measure(context: Context, { view, signal }: TemporaryBot): Promise<MemoryComparison> {
  const end = context.now() + MEASURED_SECONDS * 1000;
  while (context.now() < end) {
    signal.throwIfAborted();
    await context.client.call('POST', '/api/pool/health-check');
    const bot = await context.client.call<BotView>('GET', botPath(view.instanceId));
    const status = await context.client.call<PoolStatus>('GET', '/api/pool/status');
    if (!sitsAlone(status.json, bot.json)) throw notAlone(bot.json);
    const found = compareMemory(status.json, bot.json);
    if (found !== null) return found;
    await context.sleep(SWEEP_EVERY_MS, signal);
  }
  throw new CliFailure(EXIT.timedOut, `Not all memory was measured within ${MEASURED_SECONDS} s.`, {
    next: 'Containers that do not answer are in `bunkhouse pool status`.',
  });
}

const notAlone = ({ instanceId, container }: BotView): CliFailure =>
  new CliFailure(
    EXIT.failed,
    `${instanceId} is not alone in ${container ?? 'its container'}, so nothing was measured.`,
    {
      next: 'Let one measurement end before the next begins.',
    },
  );
