import type { Command } from 'commander';
import type { BotView, PoolStatus } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import type { Reply } from '../client.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { positive } from '../options.ts';
import { concern, spawnMark, totalText } from '../resources.ts';
import { serviceTable } from '../tables.ts';
import { clip, count, duration, mebibytes, table } from '../text.ts';
import { allBots } from './bots-show.ts';

interface TopOptions {
  readonly once?: boolean;
  readonly interval: string;
}

/** One look at everything, and when it was taken (ms). */
export interface Sample {
  readonly at: number;
  readonly bots: readonly BotView[];
  /** Null for an owner, who does not see containers. */
  readonly pool: PoolStatus | null;
}

const HELP = `
MEMORY counts shared pages in proportion (PSS), PRIVATE those nobody else has. SPAWN: fork from a zygote, exec on its own,
exec! on its own although the template wants it forked.`;

const HOME_AND_CLEAR = '\u001b[H\u001b[J';

/** `top`: a live table of the bots, the hungriest first. */
export function topCommand(program: Command): void {
  const command = program
    .command('top')
    .description('live table of the bots, by CPU and memory; Ctrl-C ends it')
    .option('--once', 'print one frame and end')
    .option('--interval <seconds>', 'time between two frames', '2')
    .addHelpText('after', HELP);
  action<TopOptions>(command, async ({ context, options }) => {
    const everyMs = positive(options.interval, '--interval') * 1000;
    let before: Sample | null = null;
    for (;;) {
      const { sample, text } = await look(context);
      context.print(context.json ? `${text}\n` : paint(context, sample, before));
      if (options.once) return;
      before = sample;
      await context.sleep(everyMs);
    }
  });
}

/** One frame. CPU is the share of one core since the sample before, or the time so far when there is none. */
export function frame(sample: Sample, before: Sample | null, columns: number): string {
  const earlier = new Map(before?.bots.map((bot) => [bot.instanceId, bot]));
  const rows = sample.bots
    .map((bot) => ({ bot, cpu: cpuShare(bot, earlier.get(bot.instanceId), sample.at - (before?.at ?? 0)) }))
    .sort((a, b) => (b.cpu ?? 0) - (a.cpu ?? 0) || pss(b.bot) - pss(a.bot))
    .map(({ bot, cpu }) => [
      bot.instanceId,
      bot.state,
      cpu === null ? '-' : `${cpu.toFixed(1)}%`,
      bot.cpuSeconds === null ? '-' : duration(bot.cpuSeconds),
      mebibytes(bot.memory?.pssBytes ?? null),
      mebibytes(bot.memory?.privateBytes ?? null),
      spawnMark(bot),
      String(bot.restarts),
      String(bot.pid ?? '-'),
      bot.container === null ? '-' : `${bot.container}/${bot.slot}`,
      bot.reason || concern(bot) || bot.status,
    ]);
  const head = ['BOT', 'STATE', 'CPU', 'TIME', 'MEMORY', 'PRIVATE', 'SPAWN', 'RESTARTS', 'PID', 'PLACE', 'SAYS'];
  const services = serviceTable(sample.pool?.pools ?? [], columns);
  return `${headline(sample)}\n\n${table(head, rows, columns)}${services}`;
}

// Private

async function look(context: Context): Promise<{ sample: Sample; text: string }> {
  const bots = await allBots(context.client, {});
  const pool = await context.client.call<PoolStatus>('GET', '/api/pool/status').catch(notForOwners);
  return { sample: { at: context.now(), bots: bots.json.bots, pool: pool?.json ?? null }, text: bots.text };
}

function notForOwners(error: unknown): Reply<PoolStatus> | null {
  if (error instanceof CliFailure && error.exitCode === EXIT.refused) return null;
  throw error;
}

/** On a terminal in place and cut to its height, else one after the other. */
function paint(context: Context, sample: Sample, before: Sample | null): string {
  const text = frame(sample, before, context.columns);
  if (context.columns === 0) return `${text}\n`;
  const lines = text.trimEnd().split('\n');
  const room = Math.max(1, context.rows - 1);
  const hidden = lines.length - room;
  const shown = hidden <= 0 ? lines : [...lines.slice(0, room - 1), `… ${count(hidden + 1, 'more line')}`];
  return `${HOME_AND_CLEAR}${shown.map((line) => clip(line, context.columns)).join('\n')}\n`;
}

function headline({ bots, pool }: Sample): string {
  const running = bots.filter((bot) => bot.state === 'running').length;
  const text = `${count(bots.length, 'bot')}, ${running} running`;
  if (pool === null) return text;
  return `${text} · ${count(pool.totalPools, 'container')}, ${totalText(pool)} · ${pool.health.status}`;
}

function cpuShare(bot: BotView, before: BotView | undefined, ms: number): number | null {
  if (bot.cpuSeconds === null || before?.cpuSeconds == null || before.pid !== bot.pid || ms <= 0) return null;
  return Math.max(0, ((bot.cpuSeconds - before.cpuSeconds) * 100_000) / ms);
}

const pss = (bot: BotView): number => bot.memory?.pssBytes ?? 0;
