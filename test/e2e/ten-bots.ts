import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { BotView } from '../../lib/services/pool-api.ts';
import { demoBot } from '../fixtures/exchange/demo-bot.ts';
import type { PaperExchange } from '../fixtures/exchange/server.ts';
import type { Sandbox } from './support.ts';

/** A driver's machine, looked at and hurt from outside Bunkhouse. */
export interface Machine {
  readonly sandbox: Sandbox;
  readonly exchange: PaperExchange;
  /** Address of the exchange as the bots reach it, ending in `/api/v3`. */
  readonly exchangeUrl: string;
  /** Living processes of the bot, by what only that bot has: its directory or its user. */
  countProcesses(bot: BotView): Promise<number>;
  countSupervisords(): Promise<number>;
  killBot(bot: BotView): Promise<void>;
  killSupervisord(container: string): Promise<void>;
  dispose(): Promise<void>;
}

const IDS = Array.from({ length: 10 }, (_, index) => `trader-${index}`);
const CHOSEN = 'trader-4';
const OTHERS = IDS.filter((id) => id !== CHOSEN);
/** For ten bots that start at once on two processors. */
const START_SECONDS = 240;

/** Ten real FreqTrade bots in one pooled container, trading on the paper exchange: the same proof for every driver. */
export function proveTenBots(open: () => Promise<Machine>): void {
  let machine: Machine;
  let sandbox: Sandbox;

  beforeAll(async () => {
    machine = await open();
    sandbox = machine.sandbox;
    await sandbox.start();
  });
  afterAll(() => machine?.dispose());

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

  /** Trades it has made: closed ones, which is what FreqTrade lists, and open ones. */
  async function tradesOf(id: string): Promise<number> {
    const [closed, open] = await Promise.all([
      ask<{ total_trades: number }>(id, 'trades?limit=1'),
      ask<readonly unknown[]>(id, 'status'),
    ]);
    return closed.total_trades + open.length;
  }

  /** Runs something that concerns the chosen bot alone: the nine others keep their processes. */
  async function sparingOthers(act: () => Promise<void>): Promise<void> {
    const before = await pidsOf(OTHERS);
    await act();
    expect(await pidsOf(OTHERS)).toEqual(before);
  }

  async function expectOneProcessEach(ids: readonly string[]): Promise<void> {
    const bots = (await sandbox.client.bots()).filter(({ instanceId }) => ids.includes(instanceId));
    expect(await Promise.all(bots.map(machine.countProcesses))).toEqual(ids.map(() => 1));
    expect(await machine.countSupervisords()).toBe(1);
  }

  describe('ten FreqTrade bots', () => {
    it('are running in one full container', async () => {
      const from = performance.now();
      await Promise.all(IDS.map(async (id) => sandbox.client.create(await demoBot(id, machine.exchangeUrl))));
      await untilRunning(IDS);
      console.log(`ten FreqTrade bots running after ${((performance.now() - from) / 1000).toFixed(1)} s`);
      const containers = await sandbox.client.containers();
      expect(containers).toMatchObject([{ botsCount: 10, capacity: 10, utilizationPercent: 100 }]);
      await expectOneProcessEach(IDS);
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
      await sandbox.until('all say so', async () => {
        return (await sandbox.client.bots()).every(({ status }) => status === 'State: RUNNING.');
      });
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
      expect(machine.exchange.requests()['/api/v3/klines']).toBeGreaterThanOrEqual(50);
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
        expect(await machine.countProcesses(await sandbox.client.bot(CHOSEN))).toBe(0);
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
        await machine.killBot(await sandbox.client.bot(CHOSEN));
        await sandbox.until(
          'it runs as a new process',
          async () => {
            const bot = await sandbox.client.bot(CHOSEN);
            return bot.state === 'running' && bot.pid !== pid;
          },
          90,
        );
      });
      await expectOneProcessEach(IDS);
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
      await expectOneProcessEach(OTHERS);
      await sandbox.client.post(`/api/bots/${CHOSEN}/start`);
      await untilRunning(IDS);
      await expectOneProcessEach(IDS);
    });

    it('kill -9 of supervisord: the container is built again, all are back in their slots with their trades', async () => {
      const place = ({ instanceId, container, slot, port }: BotView) => [instanceId, container, slot, port];
      const places = (await sandbox.client.bots()).map(place);
      const trades = await Promise.all(IDS.map(tradesOf));
      // Not by pid: in a new container they may be the same.
      const killed = new Date().toISOString();
      await machine.killSupervisord(places[0]?.[1] as string);
      await sandbox.until(
        'all run again',
        async () => {
          const bots = await sandbox.client.bots();
          return bots.every(({ state, since }) => state === 'running' && since !== null && since > killed);
        },
        START_SECONDS,
      );
      expect((await sandbox.client.bots()).map(place)).toEqual(places);
      await expectOneProcessEach(IDS);
      for (const [index, id] of IDS.entries())
        expect(await tradesOf(id)).toBeGreaterThanOrEqual(trades[index] as number);
    });
  });

  describe('a deleted FreqTrade bot', () => {
    it('is gone, its trades are archived, and nine keep their processes', async () => {
      const chosen = await sandbox.client.bot(CHOSEN);
      await sparingOthers(async () => {
        await sandbox.client.delete(`/api/bots/${CHOSEN}`);
        await sandbox.until(
          'it is gone',
          async () => (await sandbox.client.request(`/api/bots/${CHOSEN}`)).status === 404,
          60,
        );
      });
      expect(await machine.countProcesses(chosen)).toBe(0);
      const folder = join(sandbox.directory, 'archives');
      const [archive] = readdirSync(folder).filter((name) => name.startsWith(`${CHOSEN}-`) && name.endsWith('.tar.gz'));
      const listing = execFileSync('tar', ['-tzf', join(folder, archive as string)], { encoding: 'utf8' });
      expect(listing).toMatch(/tradesv3\.dryrun\.sqlite$/m);
      expect(listing).toMatch(/DemoStrategy\.py$/m);
    });
  });
}
