import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { type App, startApp } from './app.ts';
import { expectSchema } from './schema-check.ts';

const BOTS = ['a', 'b'];

async function withBots(work: (app: App) => Promise<void>): Promise<void> {
  await using app = await startApp();
  for (const instanceId of BOTS) {
    const { status } = await app.call('POST', '/api/bots', { body: { instanceId, template: 'forked' } });
    expect(status).toBe(201);
  }
  await app.settled();
  await work(app);
}

const post = (app: App, path: string, body: object) => app.call('POST', path, { body });

describe('upgrades and drains over HTTP', { timeout: 30_000 }, () => {
  it('are told beforehand, started, followed and counted, in the shapes of the documentation', () =>
    withBots(async (app) => {
      const told = await post(app, '/api/pool/upgrade', { template: 'forked', image: 'two', dryRun: true });
      expect(told).toMatchObject({ status: 200, json: { success: true, upgrade: null } });
      expect(told.json.forecast).toMatchObject({ template: 'forked', image: 'two' });
      expect(told.json.forecast).toMatchObject({ bots: BOTS.map((instanceId) => ({ instanceId, needs: 'move' })) });
      expectSchema(app, 'POST', '/api/pool/upgrade', told.json);
      expect((await app.call('GET', '/api/pool/upgrade')).json.upgrades).toEqual([]);

      const started = await post(app, '/api/pool/upgrade', { template: 'forked', spacingSeconds: 0, surge: 1 });
      expect(started.json.upgrade).toMatchObject({ template: 'forked', status: 'running', left: 2, surge: 1 });
      expectSchema(app, 'POST', '/api/pool/upgrade', started.json);
      const view = () => app.call('GET', '/api/pool/upgrade/forked');
      await waitFor('it is done', async () => (await view()).json.status === 'done', 15_000);
      const done = await view();
      expect(done.json).toMatchObject({ moved: 2, left: 0, failures: [], endedAt: expect.any(String) });
      expectSchema(app, 'GET', '/api/pool/upgrade/{template}', done.json);
      expectSchema(app, 'GET', '/api/pool/upgrade', (await app.call('GET', '/api/pool/upgrade')).json);
      const { text } = await app.call('GET', '/metrics');
      expect(text).toContain('bunkhouse_upgrade_bots{template="forked",progress="moved"} 2');
      expect(text).toContain('bunkhouse_upgrade_status{template="forked",status="done"} 1');
    }));

  it('are paused, resumed, forced and aborted, or refused', () =>
    withBots(async (app) => {
      await post(app, '/api/pool/upgrade', { template: 'forked', spacingSeconds: 3600, surge: 1 });
      const act = (action: string) => post(app, '/api/pool/upgrade/forked', { action });
      const paused = await act('pause');
      expect(paused).toMatchObject({ status: 200, json: { status: 'paused' } });
      expectSchema(app, 'POST', '/api/pool/upgrade/{template}', paused.json);
      expect((await act('force')).json).toMatchObject({ holdSeconds: 0 });
      expect((await act('resume')).json).toMatchObject({ status: 'running' });
      const other = await post(app, '/api/pool/upgrade', { template: 'forked', image: 'other' });
      expect(other).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
      expect((await post(app, '/api/pool/upgrade', { template: 'forked' })).json.upgrade).toMatchObject({
        status: 'running',
      });
      expect(['stopping', 'aborted']).toContain((await act('abort')).json.status);
      expect((await act('sing')).status).toBe(400);
      expect((await post(app, '/api/pool/upgrade/demo', { action: 'pause' })).json.code).toBe('NOT_FOUND');
      expect((await post(app, '/api/pool/upgrade', { template: 'nothing' })).json.code).toBe('INVALID');
      expect((await post(app, '/api/pool/upgrade', { template: 'forked', surge: 0 })).json.code).toBe('INVALID');
    }));

  it('empty a container and open it again', () =>
    withBots(async (app) => {
      const { pools } = (await app.call('GET', '/api/pool/status')).json as { pools: { id: string }[] };
      const container = pools[0]?.id ?? '';
      const drained = await post(app, '/api/pool/drain', { container, surge: 2 });
      expect(drained).toMatchObject({ status: 200, json: { container, status: 'closed', roomElsewhere: 0 } });
      expectSchema(app, 'POST', '/api/pool/drain', drained.json);
      const drains = async () =>
        (await app.call('GET', '/api/pool/drain')).json.drains as { left: number; onTheirWay: [] }[];
      const isEmpty = async () => {
        const [first] = await drains();
        return first?.left === 0 && first.onTheirWay.length === 0;
      };
      await waitFor('it is empty', isEmpty, 15_000);
      expectSchema(app, 'GET', '/api/pool/drain', (await app.call('GET', '/api/pool/drain')).json);
      expect((await post(app, '/api/pool/drain', { container, undo: true })).json).toMatchObject({ status: 'open' });
      expect(await drains()).toEqual([]);
      expect((await post(app, '/api/pool/drain', { container: 'nothing' })).json.code).toBe('NOT_FOUND');
    }));

  it('are for administrators only', async () => {
    await using app = await startApp();
    const token = await app.ownerToken('alice');
    for (const [method, path, body] of [
      ['POST', '/api/pool/upgrade', {}],
      ['GET', '/api/pool/upgrade', undefined],
      ['POST', '/api/pool/drain', { container: 'x' }],
    ] as const)
      expect((await app.call(method, path, { token, ...(body === undefined ? {} : { body }) })).status).toBe(403);
  });
});
