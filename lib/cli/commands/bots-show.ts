import type { Command } from 'commander';
import { Option } from 'commander';
import { BOT_STATES } from '../../domain/bot.ts';
import type { BotPage, BotView, MoveView } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import type { Client, Reply } from '../client.ts';
import { show } from '../context.ts';
import { memoryText, modeText, spawnText } from '../resources.ts';
import { botTable } from '../tables.ts';
import { duration, facts, mebibytes } from '../text.ts';
import { botPath, stateLine } from '../wait.ts';

interface Filter {
  readonly owner?: string;
  readonly template?: string;
  readonly state?: string;
  readonly container?: string;
}

export function listCommand(bots: Command): void {
  const command = bots
    .command('list')
    .description('every bot you may see')
    .option('--owner <id>', 'only those of this owner')
    .option('--template <name>', 'only those of this template')
    .addOption(new Option('--state <state>', 'only those in this state').choices(BOT_STATES))
    .option('--container <name>', 'only those in this container');
  action<Filter>(command, async ({ context, options }) => {
    const reply = await allBots(context.client, options);
    show(context, reply, (page) => (page.bots.length === 0 ? 'No bot.\n' : botTable(page.bots, context.columns)));
  });
}

export function showCommand(bots: Command): void {
  const command = bots.command('show').argument('<id>').description('one bot in full');
  action(command, async ({ context, args: [id = ''] }) => {
    show(context, await context.client.call<BotView>('GET', botPath(id)), botText);
  });
}

/** All pages as one; the API's own text when one page was enough. */
export async function allBots(client: Client, { owner, template, state, container }: Filter): Promise<Reply<BotPage>> {
  const bots: BotView[] = [];
  for (let after: string | undefined; ; ) {
    const query = { owner, template, state, container, after, limit: '1000' };
    const page = await client.call<BotPage>('GET', '/api/bots', { query });
    if (page.json.next === null && bots.length === 0) return page;
    bots.push(...page.json.bots);
    if (page.json.next === null) {
      const json = { bots, next: null };
      return { json, text: JSON.stringify(json) };
    }
    after = page.json.next;
  }
}

function botText(bot: BotView): string {
  return facts([
    ['bot', bot.instanceId],
    ['state', `${stateLine(bot)}${bot.since === null ? '' : `, since ${bot.since}`}`],
    ['wanted', bot.deleting ? 'deleted' : bot.desired],
    ['says', bot.status || '-'],
    ['owner', bot.owner],
    ['template', bot.template],
    ['pool', bot.pool],
    ['mode', modeText(bot)],
    ['container', bot.container === null ? 'none yet' : `${bot.container}, slot ${bot.slot}, port ${bot.port}`],
    ...(bot.move === null ? [] : ([['move', moveText(bot.move)]] as const)),
    ['pid', String(bot.pid ?? '-')],
    ['restarts', String(bot.restarts)],
    ['memory', memoryText(bot.memory)],
    ['spawned', spawnText(bot)],
    ['CPU time', bot.cpuSeconds === null ? '-' : duration(bot.cpuSeconds)],
    ['open files', String(bot.openFiles ?? '-')],
    ...(bot.diskBytes === null ? [] : ([['disk', mebibytes(bot.diskBytes)]] as const)),
    ...(bot.warning === '' ? [] : ([['warning', bot.warning]] as const)),
    ['files', bot.files.join(', ') || 'none of its own'],
    ['created', bot.createdAt],
    ['address', bot.url],
  ]);
}

function moveText({ phase, to, other, undone }: MoveView): string {
  const place = other === null ? '' : `, other place ${other}`;
  return undone === null ? `to ${to}, ${phase}${place}` : `back, ${phase}${place}: ${undone}`;
}
