import { describe, expect, it } from 'vitest';
import { type App, type AppOptions, startApp } from './app.ts';

const MIB = 1 << 20;

async function withBots(options: AppOptions = {}, trouble = ''): Promise<App> {
  const app = await startApp(options);
  app.world.zygoteTrouble = trouble;
  for (const instanceId of ['f1', 'f2']) {
    await app.call('POST', '/api/bots', { body: { instanceId, template: 'forked' } });
  }
  await app.call('POST', '/api/bots', { body: { instanceId: 'x', template: 'demo' } });
  await app.settled();
  await app.call('POST', '/api/pool/health-check');
  return app;
}

async function lines(app: App): Promise<string[]> {
  return (await app.call('GET', '/metrics')).text.split('\n');
}

describe('metrics', { timeout: 20_000 }, () => {
  it('have the memory of pools, and how their bots were started', async () => {
    await using app = await withBots();
    const pool = 'pool="forked/default/local"';
    expect(await lines(app)).toEqual(
      expect.arrayContaining([
        `bunkhouse_pool_pss_bytes{${pool}} ${(20 + 60 + 2 * 40) * MIB}`,
        `bunkhouse_pool_private_bytes{${pool}} ${(15 + 10 + 2 * 30) * MIB}`,
        `bunkhouse_pool_shared_bytes{${pool}} ${(10 + 140 + 2 * 90) * MIB}`,
        `bunkhouse_pool_swap_bytes{${pool}} 0`,
        `bunkhouse_pool_spawned_bots{${pool},kind="prefork"} 2`,
        `bunkhouse_pool_spawned_bots{${pool},kind="exec"} 0`,
        `bunkhouse_pool_zygotes{${pool},state="ready"} 1`,
        `bunkhouse_pool_zygotes{${pool},state="failed"} 0`,
        `bunkhouse_pool_zygote_starts{${pool}} 1`,
        'bunkhouse_pool_spawned_bots{pool="demo/default/local",kind="exec"} 1',
        'bunkhouse_pool_fallbacks{pool="demo/default/local",reason="zygote"} 0',
      ]),
    );
  });

  it('have the state of shared services, and their memory in that of the pool', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: { instanceId: 's', template: 'served' } });
    await app.settled();
    await app.call('POST', '/api/pool/health-check');
    const pool = 'pool="served/default/local"';
    expect(await lines(app)).toEqual(
      expect.arrayContaining([
        `bunkhouse_pool_services{${pool},state="running"} 1`,
        `bunkhouse_pool_services{${pool},state="backoff"} 0`,
        `bunkhouse_pool_service_restarts{${pool}} 0`,
        `bunkhouse_pool_service_pss_bytes{${pool}} ${40 * MIB}`,
        `bunkhouse_pool_pss_bytes{${pool}} ${(20 + 40 + 40) * MIB}`,
      ]),
    );
  });

  it('count bots that fell back, by few kinds of reasons', async () => {
    await using app = await withBots({}, '2 threads after the preload (asyncio_0)');
    const found = await lines(app);
    const pool = 'pool="forked/default/local"';
    expect(found).toContain(`bunkhouse_pool_fallbacks{${pool},reason="zygote"} 2`);
    expect(found).toContain(`bunkhouse_pool_zygotes{${pool},state="failed"} 1`);
    expect(found.join('\n')).not.toContain('asyncio_0');
    expect(found.filter((line) => line.startsWith(`bunkhouse_pool_fallbacks{${pool}`))).toHaveLength(5);
  });

  it('count bots that the pool could not take, and only those', async () => {
    await using app = await startApp();
    app.world.faults.failNext('create', 'INTERNAL', 3);
    await app.call('POST', '/api/bots', { body: { instanceId: 'f1', template: 'forked' } });
    await app.settled();
    await app.call('POST', '/api/bots', { body: { instanceId: 'f2', template: 'forked' } });
    await app.call('POST', '/api/bots', { body: { instanceId: 'f3', template: 'forked', mode: 'legacy' } });
    await app.settled();
    expect((await lines(app)).filter((line) => line.startsWith('bunkhouse_legacy_fallbacks_total{'))).toEqual([
      'bunkhouse_legacy_fallbacks_total{template="forked",reason="container"} 1',
    ]);
    const { json: bot } = await app.call('GET', '/api/bots/f1');
    expect(bot).toMatchObject({ mode: 'legacy', legacy: { cause: 'fallback' } });
  });

  it('have three series of each bot, which go with it', async () => {
    await using app = await withBots();
    const ofBots = async () => (await lines(app)).filter((line) => /^bunkhouse_bot_\w+\{/.test(line));
    const before = await ofBots();
    expect(before).toHaveLength(9);
    expect(before).toContain(`bunkhouse_bot_pss_bytes{bot="f1",template="forked"} ${40 * MIB}`);
    expect(before).toContain(`bunkhouse_bot_private_bytes{bot="x",template="demo"} ${30 * MIB}`);
    expect(before.join('\n')).toMatch(/^bunkhouse_bot_cpu_seconds_total\{bot="f2",template="forked"\} [\d.e-]+$/m);
    await app.call('POST', '/api/bots/f1/stop');
    await app.settled();
    expect(await ofBots()).toHaveLength(6);
  });

  it('have no series of bots when they are switched off', async () => {
    await using app = await withBots({ perBot: false });
    expect((await lines(app)).filter((line) => line.includes('bunkhouse_bot_'))).toEqual([]);
  });

  it('count the CPU time of a pool on when its bots are restarted', async () => {
    await using app = await withBots();
    const cpu = async (): Promise<number> => {
      await app.call('POST', '/api/pool/health-check');
      const line = (await lines(app)).find((found) => found.startsWith('bunkhouse_pool_cpu_seconds_total{pool="demo'));
      return Number(line?.split(' ')[1]);
    };
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = await cpu();
    expect(before).toBeGreaterThan(0.002);
    await app.call('POST', '/api/bots/x/restart');
    await app.settled();
    expect(await cpu()).toBeGreaterThanOrEqual(before);
  });
});
