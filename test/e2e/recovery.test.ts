import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BotView } from '../../lib/services/pool-api.ts';
import { signal } from './processes.ts';
import { createSandbox, fixtureBot, type Sandbox } from './support.ts';

/** Nothing is lost, whichever part is killed: twelve bots in two containers, one of them stopped by its owner. */

const IDS = Array.from({ length: 12 }, (_, index) => `bot-${index}`);
const STOPPED = 'bot-5';
const RUNNING = IDS.filter((id) => id !== STOPPED);

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await createSandbox({ basePort: 25_200 });
  await sandbox.start();
  await Promise.all(IDS.map(async (id) => sandbox.client.create(await fixtureBot(id, 'server.py'))));
  await allRunning(IDS);
  await sandbox.client.post(`/api/bots/${STOPPED}/stop`);
  await sandbox.untilState(STOPPED, 'stopped');
});
afterAll(() => sandbox?.dispose());

async function allRunning(ids: readonly string[]): Promise<void> {
  await sandbox.until(
    'all are running',
    async () => {
      const bots = await sandbox.client.bots();
      return ids.every((id) => bots.some(({ instanceId, state }) => instanceId === id && state === 'running'));
    },
    60,
  );
}

async function places(): Promise<unknown> {
  return (await sandbox.client.bots()).map(({ instanceId, container, slot, port }) => [
    instanceId,
    container,
    slot,
    port,
  ]);
}

async function pids(): Promise<Record<string, BotView['pid']>> {
  return Object.fromEntries((await sandbox.client.bots()).map(({ instanceId, pid }) => [instanceId, pid]));
}

function expectNothingDoubled(): void {
  expect(RUNNING.map((id) => sandbox.processesOf(id).length)).toEqual(RUNNING.map(() => 1));
  expect(sandbox.processesOf(STOPPED)).toEqual([]);
  expect(sandbox.supervisords()).toHaveLength(2);
}

describe('after kill -9 of', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'the orchestrator (%s) all bots are adopted with the same pids',
    async (how) => {
      const [before, where] = [await pids(), await places()];
      await sandbox.stop(how);
      expect(sandbox.supervisords()).toHaveLength(2);
      await sandbox.start();
      await allRunning(RUNNING);
      expect(await pids()).toEqual(before);
      expect(await places()).toEqual(where);
      expectNothingDoubled();
    },
  );

  it('a supervisord its container is built again, all bots are back in their slots, and the other container is left alone', async () => {
    const where = await places();
    const before = await sandbox.client.bots();
    const [victim, other] = sandbox.supervisords();
    signal(victim?.pid as number, 'SIGKILL');
    await sandbox.until('another supervisord runs', async () => {
      const now = sandbox.supervisords();
      return now.length === 2 && now.every(({ pid }) => pid !== victim?.pid);
    });
    await allRunning(RUNNING);
    expect(await places()).toEqual(where);
    expect(sandbox.supervisords().map(({ pid }) => pid)).toContain(other?.pid);
    expectNothingDoubled();
    const spared = before.filter(({ container }) => other?.argv.join(' ').includes(`/${container}/`));
    expect(spared.length).toBeGreaterThan(0);
    for (const bot of spared) expect((await sandbox.client.bot(bot.instanceId)).pid).toBe(bot.pid);
  });

  it('the orchestrator and all supervisords at once everything is as before', async () => {
    const where = await places();
    for (const { pid } of sandbox.supervisords()) signal(pid, 'SIGKILL');
    await sandbox.stop('SIGKILL');
    await sandbox.start();
    await allRunning(RUNNING);
    expect(await places()).toEqual(where);
    expectNothingDoubled();
  });

  it('anything a bot its owner stopped stays stopped, also after a sweep', async () => {
    await sandbox.client.post('/api/pool/health-check');
    expect(await sandbox.client.bot(STOPPED)).toMatchObject({ state: 'stopped', desired: 'stopped', pid: null });
    expect(sandbox.processesOf(STOPPED)).toEqual([]);
  });
});

describe('while the orchestrator is away', () => {
  it('a bot that is killed comes back by itself', async () => {
    const { pid } = await sandbox.client.bot('bot-0');
    await sandbox.stop('SIGKILL');
    signal(pid as number, 'SIGKILL');
    await sandbox.until('it runs again', async () => {
      const [found] = sandbox.processesOf('bot-0');
      return found !== undefined && found.pid !== pid;
    });
    await sandbox.start();
    await sandbox.untilState('bot-0', 'running');
    expectNothingDoubled();
  });
});
