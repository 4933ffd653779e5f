import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { startApp } from './app.ts';
import { expectSchema } from './schema-check.ts';

const demo = (instanceId: string, more: object = {}) => ({ instanceId, template: 'demo', ...more });

describe('API', { timeout: 20_000 }, () => {
  it('creates, shows, changes, stops, starts, restarts and deletes a bot', async () => {
    await using app = await startApp();
    const created = await app.call('POST', '/api/bots', {
      body: demo('a', {
        files: { 'config.json': '{"key":"hunter2"}', 'x/y.bin': { base64: 'AAEC' } },
        env: { K: 'hunter2' },
      }),
    });
    expect(created).toMatchObject({ status: 201, json: { instanceId: 'a', owner: 'admin', desired: 'running' } });
    expect(created.headers.location).toBe('/api/bots/a');
    expectSchema(app, 'POST', '/api/bots', created.json);
    expect(JSON.stringify(created.json)).not.toContain('hunter2');
    expect(app.store.current().bots.get('a')?.files).toEqual({
      'config.json': Buffer.from('{"key":"hunter2"}').toString('base64'),
      'x/y.bin': 'AAEC',
    });
    await app.settled();

    const shown = await app.call('GET', '/api/bots/a');
    expectSchema(app, 'GET', '/api/bots/{id}', shown.json);
    expect(shown.json).toMatchObject({ state: 'running', slot: 0, files: ['config.json', 'x/y.bin'] });

    const changed = await app.call('PATCH', '/api/bots/a', { body: { files: { 'x/y.bin': null, 'new.txt': 'ä' } } });
    expect(changed).toMatchObject({ status: 200, json: { files: ['config.json', 'new.txt'] } });

    const stopped = await app.call('POST', '/api/bots/a/stop');
    expect(stopped).toMatchObject({ status: 200, json: { desired: 'stopped' } });
    await app.settled();
    expect((await app.call('GET', '/api/bots/a')).json).toMatchObject({ state: 'stopped' });
    expect(await app.call('POST', '/api/bots/a/restart')).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
    expect(await app.call('POST', '/api/bots/a/start')).toMatchObject({ status: 200, json: { desired: 'running' } });
    await app.settled();
    expect(await app.call('POST', '/api/bots/a/restart', { body: {} })).toMatchObject({ status: 200 });

    expect(await app.call('DELETE', '/api/bots/a')).toMatchObject({ status: 202, json: { deleting: true } });
    await app.settled();
    expect(await app.call('GET', '/api/bots/a')).toMatchObject({ status: 404 });
  });

  it('moves a bot to another container for an admin, and shows how far it is', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('m', { owner: 'alice' }) });
    await app.settled();
    const { container } = (await app.call('GET', '/api/bots/m')).json as { container: string };
    const token = await app.ownerToken('alice');
    expect(await app.call('POST', '/api/bots/m/move', { token, body: {} })).toMatchObject({ status: 403 });
    expect(await app.call('POST', '/api/bots/m/move', { body: { to: 'X y' } })).toMatchObject({ status: 400 });
    expect(await app.call('POST', '/api/bots/m/move', { body: { to: container } })).toMatchObject({
      status: 409,
      json: { code: 'CONFLICT' },
    });
    const moving = await app.call('POST', '/api/bots/m/move', { body: {} });
    expect(moving).toMatchObject({
      status: 202,
      json: { move: { phase: 'preparing', cause: 'request', undone: null } },
    });
    expectSchema(app, 'POST', '/api/bots/{id}/move', moving.json);
    await waitFor('it is there', async () => (await app.call('GET', '/api/bots/m', { token })).json.move === null);
    expect((await app.call('GET', '/api/bots/m', { token })).json.container).not.toBe(container);
    expect((await app.call('GET', '/metrics')).text).toContain('bunkhouse_moves_total{outcome="moved"} 1');
  });

  it('lists pages and filters, an owner only their own', async () => {
    await using app = await startApp();
    const alice = await app.ownerToken('alice');
    for (const id of ['a', 'b', 'c']) await app.call('POST', '/api/bots', { body: demo(id) });
    await app.call('POST', '/api/bots', { token: alice, body: demo('d') });
    const ids = async (query: string, token?: string) => {
      const { json } = await app.call('GET', `/api/bots${query}`, token === undefined ? {} : { token });
      expectSchema(app, 'GET', '/api/bots', json);
      return { ids: (json.bots as { instanceId: string }[]).map((bot) => bot.instanceId), next: json.next };
    };
    expect(await ids('?limit=2')).toEqual({ ids: ['a', 'b'], next: 'b' });
    expect(await ids('?limit=2&after=b')).toEqual({ ids: ['c', 'd'], next: null });
    expect(await ids('?owner=alice')).toEqual({ ids: ['d'], next: null });
    expect(await ids('', alice)).toEqual({ ids: ['d'], next: null });
    expect(await ids('?owner=admin', alice)).toEqual({ ids: ['d'], next: null });
    expect(await ids('?template=other')).toEqual({ ids: [], next: null });
  });

  it('shows pools, sweeps, plans and cleans up in the shapes of the design', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a') });
    await app.settled();
    const routes = [
      ['GET', '/api/pool/status', { poolMode: true, totalPools: 1, totalBots: 1 }],
      ['POST', '/api/pool/health-check', { pools: 1, bots: 1, issues: [] }],
      ['GET', '/api/pool/plan', { steps: [] }],
      ['POST', '/api/pool/cleanup', { removedPools: [] }],
    ] as const;
    for (const [method, path, some] of routes) {
      const { status, json } = await app.call(method, path);
      expect(status).toBe(200);
      expect(json).toMatchObject({ success: true, ...some });
      expectSchema(app, method, path, json);
    }
    const where = await app.call('GET', '/api/pool/bot/a');
    expectSchema(app, 'GET', '/api/pool/bot/{instanceId}', where.json);
    expect(where.json).toMatchObject({
      success: true,
      isPooled: true,
      mode: 'pooled',
      connection: { url: '/bots/a/', slot: 0 },
    });
  });

  it('makes a bot in a container of its own, which goes with it', async () => {
    await using app = await startApp();
    const made = await app.call('POST', '/api/bots', { body: { ...demo('a'), mode: 'legacy' } });
    expectSchema(app, 'POST', '/api/bots', made.json);
    await app.settled();
    const where = await app.call('GET', '/api/pool/bot/a');
    expectSchema(app, 'GET', '/api/pool/bot/{instanceId}', where.json);
    expect(where.json).toMatchObject({ isPooled: false, mode: 'legacy', legacy: { cause: 'asked' } });
    expect((await app.call('GET', '/api/bots/a')).json).toMatchObject({ mode: 'legacy', state: 'running' });
    const { json: status } = await app.call('GET', '/api/pool/status');
    expectSchema(app, 'GET', '/api/pool/status', status);
    expect(status.pools).toMatchObject([{ mode: 'legacy', capacity: 1, botsCount: 1 }]);
    await app.call('DELETE', '/api/bots/a');
    await app.settled();
    await waitFor('its container to go', () => Object.keys(app.store.current().containers).length === 0);
    const strange = await app.call('POST', '/api/bots', { body: { ...demo('b'), mode: 'alone' } });
    expect(strange).toMatchObject({ status: 400, json: { code: 'INVALID' } });
  });

  it('removes an empty container on clean-up, and with dryRun only says so', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a') });
    await app.settled();
    await app.call('DELETE', '/api/bots/a');
    await app.settled();
    const [name] = Object.keys(app.store.current().containers);
    const trial = await app.call('POST', '/api/pool/cleanup?dryRun=true');
    expect(trial.json).toMatchObject({ removedPools: [name] });
    await app.settled();
    expect(Object.keys(app.store.current().containers)).toEqual([name]);
    await app.call('POST', '/api/pool/cleanup');
    await app.settled();
    expect(app.store.current().containers).toEqual({});
  });

  it('makes tokens that work until they are revoked and are shown once', async () => {
    await using app = await startApp();
    const made = await app.call('POST', '/api/tokens', { body: { owner: 'alice' } });
    expect(made.status).toBe(201);
    expectSchema(app, 'POST', '/api/tokens', made.json);
    const token = String(made.json.token);
    expect(await app.call('GET', '/api/bots', { token })).toMatchObject({ status: 200 });
    expect(await app.call('GET', '/api/pool/status', { token })).toMatchObject({ status: 403 });
    const { json } = await app.call('GET', '/api/tokens');
    expectSchema(app, 'GET', '/api/tokens', json);
    expect(json).toMatchObject({ tokens: [{ id: made.json.id, actor: { role: 'owner', owner: 'alice' } }] });
    expect(JSON.stringify(json)).not.toContain(token);
    expect(JSON.stringify(json)).not.toMatch(/[0-9a-f]{64}/);
    expect(await app.call('DELETE', `/api/tokens/${made.json.id}`)).toMatchObject({ status: 200 });
    expect(await app.call('GET', '/api/bots', { token })).toMatchObject({ status: 401 });
  });

  it('does a mutation with an Idempotency-Key once', async () => {
    await using app = await startApp();
    const post = (body: object) => app.call('POST', '/api/bots', { body, headers: { 'idempotency-key': 'k1' } });
    const [first, second] = await Promise.all([post(demo('a')), post(demo('a'))]);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.json).toEqual(first.json);
    expect(second.headers['idempotency-replayed'] ?? first.headers['idempotency-replayed']).toBe('true');
    expect(await post(demo('b'))).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
    expect(app.store.current().bots.keys).toEqual(['a']);
    const failed = () => app.call('POST', '/api/bots', { body: demo('a'), headers: { 'idempotency-key': 'k2' } });
    expect(await failed()).toMatchObject({ status: 409 });
    expect((await failed()).headers).not.toHaveProperty('idempotency-replayed');
  });

  it('answers HEAD like GET without a body', async () => {
    await using app = await startApp();
    const answer = await app.call('HEAD', '/health', { token: null });
    expect(answer).toMatchObject({ status: 200, text: '' });
  });

  it('is not ready before the first pass', async () => {
    await using app = await startApp({ start: false });
    const before = await app.call('GET', '/health', { token: null });
    expect(before).toMatchObject({ status: 503, json: { ready: false, status: 'starting' } });
    expectSchema(app, 'GET', '/health', before.json);
    await app.start();
    expect(await app.call('GET', '/health', { token: null })).toMatchObject({
      status: 200,
      json: { ready: true, reason: '' },
    });
  });

  it('measures requests, bots and pools', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a') });
    await app.settled();
    await app.call('GET', '/api/nowhere/at/all');
    const { text, headers } = await app.call('GET', '/metrics');
    expect(headers['content-type']).toContain('text/plain; version=0.0.4');
    for (const line of [
      'bunkhouse_bots{state="running"} 1',
      'bunkhouse_pool_bots{pool="demo/default/local"} 1',
      'bunkhouse_pool_slots{pool="demo/default/local"} 10',
      'bunkhouse_http_request_seconds_count{method="POST",route="/api/bots",status="201"} 1',
      'bunkhouse_http_request_seconds_count{method="GET",route="none",status="404"} 1',
      'bunkhouse_events_total{type="bot.created"} 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  });

  it('logs who did what, and no token', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a', { env: { KEY: 'hunter2' } }) });
    await app.call('GET', '/api/bots?token=bh_leak', { headers: { cookie: 'bunkhouse_token=bh_leak' } });
    await app.call('GET', '/api/bots', { token: 'bh_leak' });
    const lines = app.logLines();
    expect(lines.map((line) => line.msg)).toContain('POST /api/bots 201');
    expect(lines.find((line) => line.msg === 'POST /api/bots 201')).toMatchObject({
      actor: 'admin',
      path: '/api/bots',
    });
    const text = JSON.stringify(lines);
    for (const secret of ['bh_leak', 'hunter2', app.adminToken]) expect(text).not.toContain(secret);
  });
});
