import { globSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BotView } from '../../lib/services/pool-api.ts';
import { demoBot } from '../fixtures/exchange/demo-bot.ts';
import { type PaperExchange, startPaperExchange } from '../fixtures/exchange/server.ts';
import { createSandbox, type Sandbox, sleep } from './support.ts';

/** Real FreqTrade bots that trade on the paper exchange while they are moved, brought back, and the supervisor is killed. */

const BOT = 'trader';
const DATABASE = 'tradesv3.dryrun.sqlite';
/** Milliseconds after the request at which the supervisor is killed. */
const MOMENTS = [0, 50, 150, 300, 500, 800, 1500, 2500];

type Row = Readonly<Record<string, unknown>>;
type Rows = Readonly<Record<'trades' | 'orders', readonly Row[]>>;

let exchange: PaperExchange;
let sandbox: Sandbox;

beforeAll(async () => {
  exchange = await startPaperExchange({ host: '127.0.0.1', port: 0 });
  sandbox = await createSandbox({ basePort: 26_700, env: { MAX_BOTS_PER_CONTAINER: '3' } });
  await sandbox.start();
  await sandbox.client.create(await demoBot(BOT, exchange.url));
  await sandbox.untilState(BOT, 'running', 120);
  await sandbox.until('it trades', async () => rowsOf(BOT).trades.length >= 3, 120);
});
afterAll(async () => {
  await sandbox?.dispose();
  await exchange?.close();
});

/** The folder of the container it is in. */
function homeOf(bot: string, container = '**'): string {
  const [home = ''] = globSync(`${sandbox.directory}/**/${container}/bots/${bot}`);
  expect(home, `the directory of ${bot}`).not.toBe('');
  return home;
}

function rowsOf(bot: string, container?: string): Rows {
  const database = new DatabaseSync(join(homeOf(bot, container), DATABASE), { readOnly: true });
  try {
    const all = (table: string) => database.prepare(`SELECT * FROM ${table} ORDER BY id`).all();
    return { trades: all('trades'), orders: all('orders') };
  } finally {
    database.close();
  }
}

const directoriesOf = (bot: string): number => globSync(`${sandbox.directory}/**/bots/${bot}`).length;
const move = (bot: string, request: object = {}) => sandbox.client.post<BotView>(`/api/bots/${bot}/move`, request);
const untilHome = (bot: string, seconds = 180) =>
  sandbox.until(
    `${bot} is on no way`,
    async () => {
      const view = await sandbox.client.bot(bot);
      return view.move === null && view;
    },
    seconds,
  );

/** Closed trades stay as they are for ever; open ones may have been closed, none may be gone. */
function expectNothingLost(before: Rows, after: Rows): void {
  for (const trade of before.trades) {
    const now = after.trades.find(({ id }) => id === trade.id);
    expect(now, `trade ${trade.id}`).toBeDefined();
    if (trade.is_open === 0) expect(now).toEqual(trade);
    else expect(now).toMatchObject({ pair: trade.pair, open_date: trade.open_date, open_rate: trade.open_rate });
  }
  const known = new Set(after.orders.map(({ id }) => id));
  expect(before.orders.filter(({ id }) => !known.has(id))).toEqual([]);
}

interface Visits {
  readonly answered: number;
  readonly failed: readonly string[];
  readonly longestMs: number;
}

/** Asks for the bot's balance of things through the proxy until it is told to stop. */
function visit(bot: string): () => Promise<Visits> {
  let on = true;
  const failed: string[] = [];
  let answered = 0;
  let longestMs = 0;
  const work = (async () => {
    while (on) {
      const began = performance.now();
      const { status, body } = await sandbox.client.request(`/bots/${bot}/api/v1/count`);
      longestMs = Math.max(longestMs, performance.now() - began);
      if (status === 200) answered += 1;
      else failed.push(`${status} ${JSON.stringify(body)}`);
      await sleep(20);
    }
  })();
  return async () => {
    on = false;
    await work;
    return { answered, failed, longestMs };
  };
}

async function awaySeconds(): Promise<number[]> {
  const { body } = await sandbox.client.request('/metrics');
  const sum = /bunkhouse_move_away_seconds_sum (\S+)/.exec(String(body))?.[1];
  const count = /bunkhouse_move_away_seconds_count (\S+)/.exec(String(body))?.[1];
  return [Number(sum), Number(count)];
}

describe('a bot that trades', () => {
  it('moves to another container with all it has, and callers only wait', async () => {
    const first = (await sandbox.client.bot(BOT)).container ?? '';
    const report: string[] = [];
    for (const [what, request] of [
      ['to a new container', {}],
      ['back to one that has its zygote', { to: first }],
      ['and there again', {}],
    ] as const) {
      const before = rowsOf(BOT);
      const { pid, container } = await sandbox.client.bot(BOT);
      const [sum] = await awaySeconds();
      const end = visit(BOT);
      await move(BOT, request);
      const after = await untilHome(BOT);
      await sleep(500);
      const { answered, failed, longestMs } = await end();
      const [sumNow] = await awaySeconds();
      expect(after.container).not.toBe(container);
      expect(after).toMatchObject({ state: 'running', desired: 'running' });
      expect(after.pid).not.toBe(pid);
      expect(new Set(sandbox.processesOf(BOT).map((process) => process.pid)).size, 'processes of the bot').toBe(1);
      expect(directoriesOf(BOT)).toBe(1);
      expectNothingLost(before, rowsOf(BOT));
      expect(failed).toEqual([]);
      const away = ((sumNow ?? 0) - (Number.isNaN(sum) ? 0 : (sum ?? 0))).toFixed(1);
      report.push(`${what}: away ${away} s; ${answered} GETs, 0 failed, longest ${(longestMs / 1000).toFixed(1)} s`);
    }
    console.log(`moved while trading\n${report.join('\n')}`);
    const orders = rowsOf(BOT).orders.length;
    await sandbox.until('it trades on', async () => rowsOf(BOT).orders.length > orders, 120);
  });

  it('moves out of the pool and back into it', async () => {
    const before = rowsOf(BOT);
    await move(BOT, { to: 'alone' });
    const alone = await untilHome(BOT);
    expect(await sandbox.client.get(`/api/pool/bot/${BOT}`)).toMatchObject({ mode: 'legacy', state: 'running' });
    await move(BOT, { to: 'pool' });
    const pooled = await untilHome(BOT);
    expect(pooled.container).not.toBe(alone.container);
    expect(await sandbox.client.get(`/api/pool/bot/${BOT}`)).toMatchObject({ mode: 'pooled', state: 'running' });
    expectNothingLost(before, rowsOf(BOT));
  });

  it('is the same to the last row when it was stopped', async () => {
    await sandbox.client.post(`/api/bots/${BOT}/stop`);
    const { container } = await sandbox.untilState(BOT, 'stopped');
    const before = rowsOf(BOT);
    await move(BOT);
    const after = await untilHome(BOT);
    expect(after.container).not.toBe(container);
    expect(after.state).toBe('stopped');
    expect(rowsOf(BOT)).toEqual(before);
    await sandbox.client.post(`/api/bots/${BOT}/start`);
    await sandbox.untilState(BOT, 'running', 120);
    expectNothingLost(before, rowsOf(BOT));
  });

  it('comes back from a place where it does not run, with every trade', async () => {
    const { container, port } = await sandbox.client.bot(BOT);
    const { files } = await demoBot(BOT, exchange.url);
    const strategy = `${files['user_data/strategies/DemoStrategy.py']}

    def bot_start(self, **kwargs) -> None:
        import os

        if self.config["api_server"]["listen_port"] != ${port}:
            os._exit(3)
`;
    const json = { files: { 'user_data/strategies/DemoStrategy.py': strategy } };
    await sandbox.client.request(`/api/bots/${BOT}`, { method: 'PATCH', json });
    await sleep(1000);
    await sandbox.untilState(BOT, 'running', 120);
    const before = rowsOf(BOT);
    const began = performance.now();
    await move(BOT);
    let undone: string | null = null;
    const after = await sandbox.until(
      'it is back',
      async () => {
        const view = await sandbox.client.bot(BOT);
        undone ??= view.move?.undone ?? null;
        return view.move === null && view;
      },
      240,
    );
    console.log(`undone and back after ${((performance.now() - began) / 1000).toFixed(1)} s: ${undone}`);
    expect(undone).toMatch(/ended 3 times/);
    expect(after.container).toBe(container);
    await sandbox.untilState(BOT, 'running', 120);
    expect(directoriesOf(BOT)).toBe(1);
    expectNothingLost(before, rowsOf(BOT));
    const orders = rowsOf(BOT).orders.length;
    await sandbox.until('it trades on', async () => rowsOf(BOT).orders.length > orders, 120);
    await sandbox.client.request(`/api/bots/${BOT}`, { method: 'PATCH', json: { files } });
    await sleep(1000);
    await sandbox.untilState(BOT, 'running', 120);
  });
});

describe('the supervisor killed with kill -9', () => {
  it('while a bot moves: it goes on, no trade is lost, and the bot runs once', async () => {
    const outcomes: string[] = [];
    for (const moment of MOMENTS) {
      const before = rowsOf(BOT);
      const { container } = await sandbox.client.bot(BOT);
      const asked = move(BOT).catch(() => null);
      await sleep(moment);
      await sandbox.stop('SIGKILL');
      const wished = (await asked) !== null;
      await sandbox.start();
      const { move: way } = await sandbox.client.bot(BOT);
      const after = await untilHome(BOT);
      await sandbox.untilState(BOT, 'running', 120);
      expect(new Set(sandbox.processesOf(BOT).map(({ pid }) => pid)).size, 'processes of the bot').toBe(1);
      expect(directoriesOf(BOT)).toBe(1);
      expectNothingLost(before, rowsOf(BOT));
      const moved = after.container === container ? 'is where it was' : 'moved';
      if (wished) expect(moved).toBe('moved');
      outcomes.push(`${moment} ms: ${wished ? 'asked' : 'not answered'}, found ${way?.phase ?? 'at home'}, ${moved}`);
    }
    console.log(`move, killed after\n${outcomes.join('\n')}`);
  });
});
