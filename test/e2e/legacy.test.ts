import { afterEach, describe, expect, it } from 'vitest';
import type { PoolStatus } from '../../lib/services/pool-api.ts';
import { createSandbox, fixtureBot, type Sandbox, type SandboxOptions } from './support.ts';

/** Local processes: a container is a supervisord of its own. */
describe('bots in containers of their own', () => {
  let sandbox: Sandbox;
  const start = async (options: SandboxOptions): Promise<void> => {
    sandbox = await createSandbox(options);
    await sandbox.start();
  };
  const create = async (id: string, more: object = {}): Promise<void> =>
    void (await sandbox.client.create({ ...(await fixtureBot(id, 'server.py')), ...more } as { instanceId: string }));

  afterEach(async () => {
    await sandbox.dispose();
  });

  it('are all that there are with POOL_MODE_ENABLED=false, outlive the supervisor, and take their containers along', async () => {
    await start({ basePort: 24_700, env: { POOL_MODE_ENABLED: 'false' } });
    for (const id of ['a', 'b']) await create(id);
    const [a, b] = [await sandbox.untilState('a', 'running'), await sandbox.untilState('b', 'running')];
    expect(a.container).not.toBe(b.container);
    expect([a, b]).toMatchObject([
      { mode: 'legacy' },
      { mode: 'legacy', legacy: { why: 'POOL_MODE_ENABLED is false' } },
    ]);
    expect(sandbox.supervisords()).toHaveLength(2);

    await sandbox.stop('SIGKILL');
    await sandbox.start();
    expect(await sandbox.untilState('a', 'running')).toMatchObject({ pid: a.pid, restarts: 0 });

    await sandbox.client.delete('/api/bots/a');
    await sandbox.until('its container to go', async () => (await sandbox.client.containers()).length === 1, 30);
    expect(sandbox.supervisords()).toHaveLength(1);
    expect((await sandbox.client.containers()).map(({ id }) => id)).toEqual([b.container]);
    expect(await sandbox.client.bot('b')).toMatchObject({ pid: b.pid, state: 'running' });
    expect((await sandbox.client.get<PoolStatus>('/api/pool/status')).poolMode).toBe(false);
  });

  it('are what a bot gets when there are no ports for a whole container, told with the reason', async () => {
    await start({ basePort: 65_533, env: { MAX_BOTS_PER_CONTAINER: '10' } });
    await create('a');
    const bot = await sandbox.untilState('a', 'running');
    expect(bot).toMatchObject({
      mode: 'legacy',
      legacy: { cause: 'fallback', why: 'no free range of ports at or above 65533' },
      port: 65_533,
    });
    const metrics = await sandbox.client.get<string>('/metrics');
    expect(metrics).toContain('bunkhouse_legacy_fallbacks_total{template="http",reason="ports"} 1');
    const { body } = await sandbox.client.request('/bots/a/');
    expect(body).toMatchObject({ bot_name: 'a' });
  });
});
