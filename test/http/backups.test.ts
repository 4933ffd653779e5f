import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { type App, startApp } from './app.ts';
import { expectSchema } from './schema-check.ts';

async function setUp(): Promise<App> {
  const app = await startApp();
  const body = { instanceId: 'a', owner: 'ann', files: { 'config.json': 'very secret' }, env: { KEY: 'very secret' } };
  await app.call('POST', '/api/bots', { body });
  await app.settled();
  return app;
}

const restoreOf = async (app: App, bot: string): Promise<unknown> => {
  const { json } = await app.call('GET', `/api/backups/overview?bot=${bot}`);
  return (json.bots as { restore: { state: string } | null }[])[0]?.restore?.state;
};

describe('/api/backups', () => {
  it('makes, lists, shows, restores and deletes, as its document says, and tells nothing secret', async () => {
    await using app = await setUp();
    const made = await app.call('POST', '/api/bots/a/backup');
    expect(made).toMatchObject({ status: 201, json: { bot: 'a', owner: 'ann', good: true } });
    const id = String(made.json.id);
    expect(made.headers.location).toBe(`/api/backups/${id}`);
    const answers = [
      made,
      await app.call('GET', '/api/backups'),
      await app.call('GET', `/api/backups/${id}`),
      await app.call('GET', '/api/backups/overview'),
      await app.call('POST', `/api/backups/${id}/restore`, { body: {} }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200, 202]);
    const [, list, one, overview, restoring] = answers;
    expectSchema(app, 'GET', '/api/backups', list?.json);
    expectSchema(app, 'GET', '/api/backups/{id}', one?.json);
    expectSchema(app, 'GET', '/api/backups/overview', overview?.json);
    expectSchema(app, 'POST', '/api/backups/{id}/restore', restoring?.json);
    for (const { text } of answers) {
      expect(text).not.toContain('very secret');
      expect(text).not.toContain(Buffer.from('very secret').toString('base64'));
    }
    await waitFor('the restore', async () => (await restoreOf(app, 'a')) === 'done');
    await app.settled();
    expect(await app.call('DELETE', `/api/backups/${id}`)).toMatchObject({ status: 200, json: { id } });
    expect(await app.call('GET', `/api/backups/${id}`)).toMatchObject({ status: 404 });
  });

  it('is an owner’s for their own bots only', async () => {
    await using app = await setUp();
    const [ann, bob] = [await app.ownerToken('ann'), await app.ownerToken('bob')];
    const { json } = await app.call('POST', '/api/bots/a/backup', { token: ann });
    const restore = `/api/backups/${json.id}/restore`;
    const asked = [
      await app.call('POST', '/api/bots/a/backup', { token: bob }),
      await app.call('GET', `/api/backups/${json.id}`, { token: bob }),
      await app.call('POST', restore, { token: bob, body: { as: 'b' } }),
      await app.call('DELETE', `/api/backups/${json.id}`, { token: ann }),
      await app.call('POST', '/api/backups/run', { token: ann, body: {} }),
      await app.call('POST', restore, { token: ann, body: { as: 'b', owner: 'bob' } }),
      await app.call('GET', '/api/backups/overview?bot=a', { token: bob }),
    ];
    expect(asked.map(({ status }) => status)).toEqual([404, 404, 404, 403, 403, 403, 404]);
    expect((await app.call('GET', '/api/backups', { token: bob })).json).toEqual({ backups: [], next: null });
    expect(await app.call('POST', restore, { token: ann, body: { as: 'b' } })).toMatchObject({
      status: 202,
      json: { how: 'new', bot: { instanceId: 'b', owner: 'ann', desired: 'stopped' } },
    });
  });

  it('runs many, and the metrics tell of them', async () => {
    await using app = await setUp();
    await app.call('POST', '/api/bots', { body: { instanceId: 'b' } });
    await app.settled();
    const without = (await app.call('GET', '/metrics')).text;
    expect(without).toContain('bunkhouse_bots_without_backup 2\n');
    expect(await app.call('POST', '/api/backups/run', { body: {} })).toMatchObject({
      status: 202,
      json: { started: ['a', 'b'] },
    });
    await waitFor('both', async () => ((await app.call('GET', '/api/backups')).json.backups as unknown[]).length === 2);
    app.world.faults.failNext('agent.backup', 'INTERNAL');
    await app.call('POST', '/api/bots/b/backup');
    const { text } = await app.call('GET', '/metrics');
    expect(text).toContain('bunkhouse_bots_without_backup 0\n');
    expect(text).toContain('bunkhouse_backups_failing 1\n');
    expect(text).toContain('bunkhouse_backups_total{outcome="good"} 2\n');
    expect(text).toContain('bunkhouse_backups_total{outcome="failed"} 1\n');
    expect(text).toMatch(/^bunkhouse_bot_backup_age_seconds\{bot="a"\} \d+$/m);
  });

  it('refuses what is no id and what nobody knows', async () => {
    await using app = await setUp();
    const asked = [
      await app.call('GET', '/api/backups/..%2Fa'),
      await app.call('GET', '/api/backups/a-2026-01-01T00-00-00-000Z-abcdef'),
      await app.call('POST', '/api/backups/a-2026-01-01T00-00-00-000Z-abcdef/restore', { body: { to: 'b' } }),
      await app.call('GET', '/api/backups?kind=some'),
    ];
    expect(asked.map(({ status }) => status)).toEqual([400, 404, 400, 400]);
  });
});
