import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { BotView } from '../../lib/services/pool-api.ts';
import { demoBot } from '../fixtures/exchange/demo-bot.ts';
import { type PaperExchange, startPaperExchange } from '../fixtures/exchange/server.ts';
import { signal } from './processes.ts';
import { createSandbox, type Sandbox } from './support.ts';

/** Ten real FreqTrade bots in one pooled container of the process driver, trading on the paper exchange. */

const IDS = Array.from({ length: 10 }, (_, index) => `trader-${index}`);
const CHOSEN = 'trader-4';
const OTHERS = IDS.filter((id) => id !== CHOSEN);
/** For ten bots that start at once on two processors. */
const START_SECONDS = 240;

let exchange: PaperExchange;
let sandbox: Sandbox;

beforeAll(async () => {
  exchange = await startPaperExchange({ host: '127.0.0.1', port: 0 });
  sandbox = await createSandbox({ basePort: 25_400 });
  await sandbox.start();
});
afterAll(async () => {
  await sandbox?.dispose();
  await exchange?.close();
});

async function untilRunning(ids: readonly string[]): Promise<readonly BotView[]> {
  return sandbox.until(
    `${ids.length} bots are running`,
    async () => {
      const bots = (await sandbox.client.bots()).filter(({ instanceId }) => ids.includes(instanceId));
      return bots.length === ids.length && bots.every(({ state }) => state === 'running') && bots;
    },
    START_SECONDS,
  );
}

async function pidsOf(ids: readonly string[]): Promise<Record<string, number | null>> {
  const bots = (await sandbox.client.bots()).filter(({ instanceId }) => ids.includes(instanceId));
  return Object.fromEntries(bots.map(({ instanceId, pid }) => [instanceId, pid]));
}

interface ShowConfig {
  readonly bot_name: string;
  readonly state: string;
  readonly runmode: string;
}

const ask = <T>(id: string, path: string): Promise<T> => sandbox.client.get<T>(`/bots/${id}/api/v1/${path}`);

async function tradesOf(id: string): Promise<number> {
  return (await ask<{ total_trades: number }>(id, 'trades?limit=1')).total_trades;
}

/** Runs something that concerns the chosen bot alone: the nine others keep their processes. */
async function sparingOthers(act: () => Promise<void>): Promise<void> {
  const before = await pidsOf(OTHERS);
  await act();
  expect(await pidsOf(OTHERS)).toEqual(before);
}

function expectOneProcessEach(ids: readonly string[]): void {
  expect(ids.map((id) => sandbox.processesOf(id).length)).toEqual(ids.map(() => 1));
  expect(sandbox.supervisords()).toHaveLength(1);
}

describe('ten FreqTrade bots', () => {
  it('are running in one full container', async () => {
    const from = performance.now();
    await Promise.all(IDS.map(async (id) => sandbox.client.create(await demoBot(id, exchange.url))));
    await untilRunning(IDS);
    console.log(`ten FreqTrade bots running after ${((performance.now() - from) / 1000).toFixed(1)} s`);
    const containers = await sandbox.client.containers();
    expect(containers).toMatchObject([{ botsCount: 10, capacity: 10, utilizationPercent: 100 }]);
    expectOneProcessEach(IDS);
  });

  it('each answer a ping through the proxy, and show_config with their own name', async () => {
    for (const id of IDS) {
      expect(await ask(id, 'ping')).toEqual({ status: 'pong' });
      expect(await ask<ShowConfig>(id, 'show_config')).toMatchObject({
        bot_name: id,
        state: 'running',
        runmode: 'dry_run',
      });
    }
  });

  it('say through their notifications that they run', async () => {
    for (const { status } of await sandbox.client.bots()) expect(status).toBe('State: RUNNING.');
  });

  it('stream over a WebSocket through the proxy, without a password', async () => {
    const socket = new WebSocket(`${sandbox.url.replace('http', 'ws')}/bots/${CHOSEN}/api/v1/message/ws`, {
      headers: { Authorization: `Bearer ${sandbox.client.token}` },
    });
    try {
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      socket.send(JSON.stringify({ type: 'subscribe', data: ['whitelist'] }));
      socket.send(JSON.stringify({ type: 'whitelist', data: null }));
      const message = await new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))));
      expect(JSON.parse(message)).toMatchObject({ type: 'whitelist', data: expect.arrayContaining(['BTC/USDT']) });
    } finally {
      socket.close();
    }
  });

  it('fetch candles from the exchange and trade', async () => {
    expect(exchange.requests()['/api/v3/klines']).toBeGreaterThanOrEqual(50);
    await sandbox.until(
      'every bot has traded',
      async () => {
        const trades = await Promise.all(IDS.map(tradesOf));
        return trades.every((count) => count > 0);
      },
      150,
    );
  });
});

describe('one of ten FreqTrade bots', () => {
  it('is stopped, stays stopped over a sweep, and starts with its trades', async () => {
    await sparingOthers(async () => {
      const trades = await tradesOf(CHOSEN);
      await sandbox.client.post(`/api/bots/${CHOSEN}/stop`);
      await sandbox.untilState(CHOSEN, 'stopped', 60);
      await sandbox.client.post('/api/pool/health-check');
      expect(await sandbox.client.bot(CHOSEN)).toMatchObject({ state: 'stopped', pid: null });
      expect(sandbox.processesOf(CHOSEN)).toEqual([]);
      await sandbox.client.post(`/api/bots/${CHOSEN}/start`);
      await sandbox.untilState(CHOSEN, 'running', 90);
      expect(await tradesOf(CHOSEN)).toBeGreaterThanOrEqual(trades);
    });
  });

  it('is restarted, as a new process', async () => {
    await sparingOthers(async () => {
      const { pid } = await sandbox.client.bot(CHOSEN);
      await sandbox.client.post(`/api/bots/${CHOSEN}/restart`);
      await sandbox.until(
        'it runs as a new process',
        async () => {
          const bot = await sandbox.client.bot(CHOSEN);
          return bot.state === 'running' && bot.pid !== pid;
        },
        90,
      );
    });
  });

  it('is paused without a restart, stays paused over one, and resumes', async () => {
    await sparingOthers(async () => {
      const { pid } = await sandbox.client.bot(CHOSEN);
      const stateIs = (state: string) => async () => (await ask<ShowConfig>(CHOSEN, 'show_config')).state === state;
      await sandbox.client.post(`/api/bots/${CHOSEN}/pause`);
      await sandbox.until('it is paused', stateIs('paused'));
      expect(await sandbox.client.bot(CHOSEN)).toMatchObject({ pid, desired: 'paused', state: 'running' });
      await sandbox.client.post(`/api/bots/${CHOSEN}/restart`);
      await sandbox.until(
        'it runs as a new process',
        async () => {
          const bot = await sandbox.client.bot(CHOSEN);
          return bot.state === 'running' && bot.pid !== pid;
        },
        90,
      );
      expect(await stateIs('paused')()).toBe(true);
      const again = (await sandbox.client.bot(CHOSEN)).pid;
      await sandbox.client.post(`/api/bots/${CHOSEN}/start`);
      await sandbox.until('it is running', stateIs('running'));
      expect((await sandbox.client.bot(CHOSEN)).pid).toBe(again);
    });
  });

  it('is killed and runs again by itself', async () => {
    await sparingOthers(async () => {
      const { pid } = await sandbox.client.bot(CHOSEN);
      signal(pid as number, 'SIGKILL');
      await sandbox.until(
        'it runs as a new process',
        async () => {
          const bot = await sandbox.client.bot(CHOSEN);
          return bot.state === 'running' && bot.pid !== pid;
        },
        90,
      );
    });
    expectOneProcessEach(IDS);
  });
});

describe('ten FreqTrade bots outlive', () => {
  it('kill -9 of the orchestrator: adopted with the same processes, a stopped one stays stopped', async () => {
    await sandbox.client.post(`/api/bots/${CHOSEN}/stop`);
    await sandbox.untilState(CHOSEN, 'stopped', 60);
    const before = await pidsOf(IDS);
    await sandbox.stop('SIGKILL');
    await sandbox.start();
    await untilRunning(OTHERS);
    await sandbox.client.post('/api/pool/health-check');
    expect(await pidsOf(IDS)).toEqual({ ...before, [CHOSEN]: null });
    expectOneProcessEach(OTHERS);
    await sandbox.client.post(`/api/bots/${CHOSEN}/start`);
    await untilRunning(IDS);
    expectOneProcessEach(IDS);
  });

  it('kill -9 of supervisord: the container is built again, all are back in their slots with their trades', async () => {
    const place = ({ instanceId, container, slot, port }: BotView) => [instanceId, container, slot, port];
    const places = (await sandbox.client.bots()).map(place);
    const trades = await Promise.all(IDS.map(tradesOf));
    const before = await pidsOf(IDS);
    signal(sandbox.supervisords()[0]?.pid as number, 'SIGKILL');
    await sandbox.until(
      'all run as new processes',
      async () => {
        const bots = await sandbox.client.bots();
        return bots.every(({ instanceId, state, pid }) => state === 'running' && pid !== before[instanceId]);
      },
      START_SECONDS,
    );
    expect((await sandbox.client.bots()).map(place)).toEqual(places);
    expectOneProcessEach(IDS);
    for (const [index, id] of IDS.entries()) expect(await tradesOf(id)).toBeGreaterThanOrEqual(trades[index] as number);
  });
});

describe('a deleted FreqTrade bot', () => {
  it('is gone, its trades are archived, and nine keep their processes', async () => {
    await sparingOthers(async () => {
      await sandbox.client.delete(`/api/bots/${CHOSEN}`);
      await sandbox.until(
        'it is gone',
        async () => (await sandbox.client.request(`/api/bots/${CHOSEN}`)).status === 404,
        60,
      );
    });
    expect(sandbox.processesOf(CHOSEN)).toEqual([]);
    const folder = join(sandbox.directory, 'archives');
    const [archive] = readdirSync(folder).filter((name) => name.startsWith(`${CHOSEN}-`));
    const listing = execFileSync('tar', ['-tzf', join(folder, archive as string)], { encoding: 'utf8' });
    expect(listing).toMatch(/tradesv3\.dryrun\.sqlite$/m);
    expect(listing).toMatch(/DemoStrategy\.py$/m);
  });
});
