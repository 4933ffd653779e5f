import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../lib/cli/client.ts';
import type { BotPage, BotView } from '../../lib/services/pool-api.ts';
import { elapsed, type Steps } from './steps.ts';

/** The bots of the demo are those of this owner. */
const OWNER = 'demo';
const FILES = resolve(import.meta.dirname, '../../templates/demo');
const STRATEGY = 'DemoStrategy';
const LOOK_EVERY_MS = 500;

/** Creates what is missing of so many bots; those that are there keep their data and what their owner wants. */
export async function ensureBots(client: Client, count: number, exchangePort: number, steps: Steps): Promise<void> {
  const there = new Set((await demoBots(client)).map((bot) => bot.instanceId));
  const ids = Array.from({ length: count }, (_, index) => `demo-${String(index + 1).padStart(2, '0')}`);
  const missing = ids.filter((id) => !there.has(id));
  const files = demoFiles(exchangePort);
  const args = ['--strategy', STRATEGY];
  await Promise.all(
    missing.map((instanceId) =>
      client.call('POST', '/api/bots', { body: { instanceId, template: 'freqtrade', owner: OWNER, files, args } }),
    ),
  );
  const kept = there.size === 0 ? '' : `${there.size} there already`;
  const made = missing.length === 0 ? '' : `${missing.length} created`;
  steps.line(`✓ bots: ${[kept, made].filter((part) => part !== '').join(', ')}`);
}

/** Says of each bot when it is ready, until all are or the time is over; true: all are as wanted. */
export async function watchUntilReady(client: Client, steps: Steps, options: WatchOptions): Promise<boolean> {
  const begin = performance.now();
  const told = new Set<string>();
  for (;;) {
    const bots = await demoBots(client);
    for (const bot of bots.filter((found) => !told.has(found.instanceId) && settled(found))) {
      told.add(bot.instanceId);
      steps.line(`✓ ${describe(bot)} (${elapsed(begin)})`);
    }
    const waiting = bots.filter((bot) => !told.has(bot.instanceId));
    if (waiting.length === 0 || options.signal.aborted) return waiting.length === 0;
    if (performance.now() - begin > options.seconds * 1000) {
      for (const bot of waiting) steps.line(`✗ ${describe(bot)} ${bot.reason}`);
      return false;
    }
    steps.status(`… ${bots.length - waiting.length} of ${bots.length} bots are ready (${elapsed(begin)})`);
    await sleep(LOOK_EVERY_MS, undefined, { signal: options.signal }).catch(() => {});
  }
}

export interface WatchOptions {
  readonly seconds: number;
  readonly signal: AbortSignal;
}

// Private

async function demoBots(client: Client): Promise<readonly BotView[]> {
  const { json } = await client.call<BotPage>('GET', '/api/bots', { query: { owner: OWNER, limit: '1000' } });
  return json.bots;
}

function settled(bot: BotView): boolean {
  return bot.state === (bot.desired === 'stopped' ? 'stopped' : 'running');
}

function describe(bot: BotView): string {
  const place = bot.pid === null ? '' : `  port ${bot.port}  pid ${bot.pid}`;
  const wish = bot.desired === 'running' ? '' : `, as wanted (${bot.desired})`;
  return `${bot.instanceId}  ${bot.state}${wish}${place}`;
}

/** The files of a bot, pointed at the exchange's port. */
function demoFiles(exchangePort: number): Record<string, string> {
  const read = (name: string): string => readFileSync(resolve(FILES, name), 'utf8');
  return {
    'config.json': read('config.json').replaceAll('127.0.0.1:8900', `127.0.0.1:${exchangePort}`),
    [`user_data/strategies/${STRATEGY}.py`]: read(`${STRATEGY}.py`),
  };
}
