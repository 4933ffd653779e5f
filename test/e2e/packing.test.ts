import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSandbox, fixtureBot, type Sandbox } from './support.ts';

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await createSandbox({ basePort: 25_000 });
  await sandbox.start();
});
afterAll(() => sandbox?.dispose());

describe('30 bots created at the same time', () => {
  const ids = Array.from({ length: 30 }, (_, index) => `bot-${String(index).padStart(2, '0')}`);

  it('are all running soon', async () => {
    const bot = await fixtureBot('', 'server.py');
    await Promise.all(ids.map((instanceId) => sandbox.client.create({ ...bot, instanceId })));
    await sandbox.until(
      'all are running',
      async () => {
        const bots = await sandbox.client.bots();
        return bots.length === 30 && bots.every(({ state }) => state === 'running');
      },
      90,
    );
  });

  it('fill exactly three containers, no slot and no port twice', async () => {
    const containers = await sandbox.client.containers();
    expect(containers.map(({ botsCount, capacity }) => [botsCount, capacity])).toEqual(Array(3).fill([10, 10]));
    expect(sandbox.supervisords()).toHaveLength(3);
    const bots = await sandbox.client.bots();
    expect(new Set(bots.map(({ container, slot }) => `${container}/${slot}`)).size).toBe(30);
    expect(new Set(bots.map(({ port }) => port)).size).toBe(30);
    expect(new Set(bots.map(({ pid }) => pid)).size).toBe(30);
  });

  it('each answers with its own name through the proxy', async () => {
    const names = await Promise.all(
      ids.map(async (id) => (await sandbox.client.get<{ bot_name: string }>(`/bots/${id}/`)).bot_name),
    );
    expect(names).toEqual(ids);
  });

  it('have a user each, where the supervisor is root', async () => {
    const users = ids.map((id) => sandbox.processesOf(id).map(({ uid }) => uid));
    expect(users.every((found) => found.length === 1)).toBe(true);
    expect(new Set(users.flat()).size).toBe(process.getuid?.() === 0 ? 30 : 1);
  });

  it('make room when deleted, and the next takes the free slot', async () => {
    const { container, slot } = await sandbox.client.bot('bot-17');
    await sandbox.client.delete('/api/bots/bot-17');
    await sandbox.until('bot-17 is gone', async () => {
      return (await sandbox.client.request('/api/bots/bot-17')).status === 404;
    });
    await sandbox.client.create(await fixtureBot('late', 'server.py'));
    expect(await sandbox.untilState('late', 'running')).toMatchObject({ container, slot });
    expect(await sandbox.client.containers()).toHaveLength(3);
  });
});
