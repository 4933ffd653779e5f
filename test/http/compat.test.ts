import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from '../router/front.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Answer, type App, type AppOptions, startApp } from './app.ts';
import { expectSchema } from './schema-check.ts';

const LEASE =
  '{ ttlSeconds: 60, reserve: { target: 2, min: 2, batchSpacingSeconds: 0 }, reset: { steps: [{ kind: clear }] }, maxTtlSeconds: 7200 }';
const ALL = ['site', 'container', 'demo'] as const;

async function start(options: Partial<AppOptions> = {}): Promise<App> {
  const app = await startApp({ lease: LEASE, compat: ALL, ...options });
  onTestFinished(() => app.close());
  const wanted = 2 * (options.locations?.length ?? 1);
  await waitFor('the reserve is full', () => {
    const ready = app.store.current().bots.records.filter((bot) => bot.reserve?.phase === 'ready');
    return ready.length === wanted;
  });
  return app;
}

const from = (address: string) => ({ token: null, headers: { 'x-forwarded-for': address } });

describe('sites', () => {
  it('are there at once, and the pool is shown as its users know it', async () => {
    const app = await start();
    const before = await app.call('GET', '/pool-status');
    expectSchema(app, 'GET', '/pool-status', before.json);
    expect(Object.keys(before.json)).toEqual(['size', 'target', 'minSize', 'isRefilling', 'sites']);
    expect(before.json).toMatchObject({ size: 2, target: 2, minSize: 2, isRefilling: false });
    const waiting = before.json.sites as { id: string; subdomain: unknown; createdAt: string }[];
    const made = await app.call('POST', '/create-site');
    expectSchema(app, 'POST', '/create-site', made.json);
    expect(made).toMatchObject({ status: 200, json: { success: true, from_pool: true, subdomain: null, access: {} } });
    expect(made.json.id).toBe(waiting[0]?.id);
    expect(made.json.url).toBe(`http://127.0.0.1:${app.port}/bots/${made.json.id}/`);
    expect((await app.call('GET', `/api/leases/${made.json.lease_id}`)).json).toMatchObject({
      instanceId: made.json.id,
      template: 'demo',
      owner: 'admin',
    });
  });

  it('have a host name where there is a base domain', async () => {
    const addresses = { baseDomain: 'sites.test', scheme: 'https', port: 443 } as const;
    const app = await start({ addresses });
    const { json } = await app.call('POST', '/create-site');
    expect(json).toMatchObject({ subdomain: `${json.id}.sites.test`, url: `https://${json.id}.sites.test/` });
    const { sites } = (await app.call('GET', '/pool-status')).json as { sites: { id: string; subdomain: string }[] };
    for (const { id, subdomain } of sites) expect(subdomain).toBe(`${id}.sites.test`);
  });

  it('are made when none is left, and run when they are answered', async () => {
    const app = await start({ lease: LEASE.replace('target: 2, min: 2', 'target: 2, min: 0') });
    const made: Answer[] = [];
    for (let n = 0; n < 3; n++) made.push(await app.call('POST', '/create-site', { body: {} }));
    expect(made.map(({ json }) => json.from_pool)).toEqual([true, true, false]);
    const { json } = await app.call('GET', `/api/bots/${made[2]?.json.id}`);
    expect(json.state).toBe('running');
  });

  it('come once for the same key', async () => {
    const app = await start();
    const call = () => app.call('POST', '/create-site', { headers: { 'idempotency-key': 'k' } });
    expect((await call()).json).toEqual((await call()).json);
    expect(app.store.current().leases.size).toBe(1);
  });

  it('are told apart by address where no token is needed, and keep no password for a replay', async () => {
    const lease = `${LEASE.slice(0, -2)}, access: { password: "{{secret.password}}" } }`;
    const app = await start({ lease, open: { site: 60 } });
    const call = (address: string) =>
      app.call('POST', '/create-site', {
        token: null,
        headers: { ...from(address).headers, 'idempotency-key': 'k' },
      });
    const [one, again, other] = [await call('192.0.2.1'), await call('192.0.2.1'), await call('192.0.2.2')];
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.json).toEqual(one.json);
    expect(other.json.id).not.toBe(one.json.id);
    expect(one.json.access).not.toEqual(other.json.access);
    const kept = JSON.stringify(app.store.current().replies);
    for (const { access } of [one.json, other.json])
      expect(kept).not.toContain((access as { password: string }).password);
  });
});

describe('the log', () => {
  it('has no id that gets anybody in', async () => {
    const app = await start({ open: { container: 60, demo: 60 } });
    const ids = [];
    for (const path of ['/container', '/api/v1/demo/acquire'])
      ids.push(String((await app.call('POST', path, { token: null })).json.id));
    const [container, demo] = ids;
    await app.call('POST', `/container/${container}/page`, { token: null, body: {} });
    await app.call('POST', `/container/${container}`, { token: null, body: {} });
    await app.call('POST', `/api/v1/demo/${demo}/extend`, { token: null, body: { minutes: 1 } });
    await app.call('DELETE', `/api/v1/demo/${demo}`, { token: null });
    await app.call('GET', `/api/leases/${container}`);
    // At a lease that has ended nobody waits for the bot.
    await app.call('DELETE', `/api/leases/${container}`);
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/container/${container}/socket`);
    await once(socket, 'error');
    await waitFor('the last line is there', () => app.logLines().some(({ path }) => String(path).endsWith('/socket')));
    const lines = app.logLines();
    expect(lines.filter(({ path }) => String(path).startsWith(`/container/${container?.slice(0, 8)}…`))).toHaveLength(
      3,
    );
    expect(lines.find(({ event }) => event === 'lease.ended')).toMatchObject({ lease: `${demo?.slice(0, 8)}…` });
    for (const id of ids) expect(JSON.stringify(lines)).not.toContain(id);
    const metrics = await app.call('GET', '/metrics');
    for (const id of ids) expect(metrics.text).not.toContain(id);
  });
});

describe('containers', () => {
  /** The first bot is a real server. */
  async function startWithBot(options: Partial<AppOptions> = {}): Promise<App> {
    const bot = createServer(async (req, res) => {
      const body = await req.setEncoding('utf8').reduce((all, chunk) => all + chunk, '');
      res.setHeader('content-security-policy', "img-src 'self'");
      res.setHeader('set-cookie', ['a=1; HttpOnly', 'b=2; Path=/x; Path=y', 'c=3; Path=/']);
      if (req.url === '/away') res.setHeader('location', '/elsewhere');
      const { authorization, 'x-forwarded-prefix': prefix } = req.headers;
      res.end(JSON.stringify({ method: req.method, url: req.url, body, authorization, prefix }));
    });
    const sockets = new WebSocketServer({ server: bot });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
    const lease = LEASE.replace('target: 2, min: 2', 'target: 1, min: 1');
    const app = await startApp({ basePort: await listen(bot), compat: ['container'], lease, ...options });
    onTestFinished(() => app.close());
    await waitFor('one is ready', () =>
      app.store
        .current()
        .bots.records.some(({ reserve, placement }) => reserve?.phase === 'ready' && placement?.slot === 0),
    );
    return app;
  }

  it('are acquired by location and reached with any method, below their id and at it', async () => {
    const app = await startWithBot({ locations: ['weur'] });
    const acquired = await app.call('POST', '/container', { body: { location: 'weur', maxLifetimeInSeconds: 1800 } });
    expect(acquired.status).toBe(200);
    expect(Object.keys(acquired.json)).toEqual(['id']);
    const { id } = acquired.json as { id: string };
    expect((await app.call('GET', `/api/leases/${id}`)).json).toMatchObject({ location: 'weur', ttlSeconds: 1800 });
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      const raw = ['POST', 'PUT', 'PATCH'].includes(method) ? '{}' : undefined;
      const { status, headers, text } = await app.call(method, `/container/${id}/a/b?x=../1`, { raw });
      expect({ status, seen: JSON.parse(text) }).toMatchObject({
        status: 200,
        seen: { method, url: '/a/b?x=../1', body: raw ?? '', prefix: `/container/${id}` },
      });
      expect(headers).toMatchObject({ 'x-container-id': id, 'x-container-location': 'weur' });
      expect('x-container-country' in headers || 'x-container-region' in headers).toBe(false);
    }
    const root = await app.call('POST', `/container/${id}?q`, { raw: 'x' });
    expect(JSON.parse(root.text)).toEqual({ method: 'POST', url: '/?q', body: 'x', prefix: `/container/${id}` });
    expect((await app.call('GET', `/container/${id}/away`)).headers.location).toBe(`/container/${id}/elsewhere`);
    const { headers } = await app.call('GET', `/container/${id}`);
    expect(headers['content-security-policy']).toMatch(/^sandbox [a-z -]+, img-src 'self'$/);
    expect(headers['content-security-policy']).not.toContain('allow-same-origin');
    // Without a path, a cookie of `/container/ID` would be sent to all others too.
    expect(headers['set-cookie']).toEqual([
      `a=1; HttpOnly; Path=/container/${id}`,
      `b=2; Path=/container/${id}/x; Path=y; Path=/container/${id}`,
      `c=3; Path=/container/${id}/`,
    ]);
  });

  it('have WebSockets', async () => {
    const app = await startWithBot();
    const { id } = (await app.call('POST', '/container')).json;
    const authorization = `Bearer ${app.adminToken}`;
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/container/${id}/ws`, { headers: { authorization } });
    await once(socket, 'open');
    socket.send('hello');
    const [echo] = await once(socket, 'message');
    expect(String(echo)).toBe('hello');
    socket.terminate();
  });

  it('are nobody else’s, and gone with their lease', async () => {
    const app = await startWithBot();
    const [alice, bob] = [await app.ownerToken('alice'), await app.ownerToken('bob')];
    const { id } = (await app.call('POST', '/container', { token: alice })).json;
    const visit = (token: string | null) => app.call('GET', `/container/${id}/`, { token });
    expect((await visit(alice)).status).toBe(200);
    expect((await visit(app.adminToken)).status).toBe(200);
    expect((await visit(bob)).json).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect((await visit(null)).json).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
    await app.call('DELETE', `/api/leases/${id}`, { token: alice });
    expect((await visit(alice)).json).toMatchObject({ status: 404, code: 'NOT_FOUND' });
  });

  it('that were given to somebody without a token are theirs who know the id, and no others are', async () => {
    const app = await startWithBot({ open: { container: 100 } });
    const acquired = await app.call('POST', '/container', from('203.0.113.9'));
    expect(acquired.status).toBe(200);
    const { id } = acquired.json;
    expect((await app.call('GET', `/api/leases/${id}`)).json).toMatchObject({ owner: 'public:203.0.113.9' });
    expect((await app.call('GET', `/container/${id}/`, from('198.51.100.1'))).status).toBe(200);
    const bot = (await app.call('GET', `/api/leases/${id}`)).json.instanceId;
    expect((await app.call('GET', `/bots/${bot}/`, { token: null })).status).toBe(401);
    const own = (await app.call('POST', '/container')).json.id;
    expect((await app.call('GET', `/container/${own}/`, { token: null })).status).toBe(404);
    expect((await app.call('GET', `/container/${id}/`, { token: 'bh_wrong' })).status).toBe(401);
  });

  it.each([
    { what: 'an id that is none', path: '/container/..%2fx/', code: 'NOT_FOUND' },
    { what: 'nobody’s id', path: '/container/abcdefgh12/', code: 'NOT_FOUND' },
    { what: 'a path that climbs', path: '/container/abcdefgh12/%2e%2e/x', code: 'INVALID' },
    { what: 'no id', path: '/container/', code: 'NOT_FOUND' },
  ])('do not take $what', async ({ path, code }) => {
    const app = await startWithBot();
    const answer = await app.call('GET', path);
    expect(answer.json.code).toBe(code);
    expect(answer.headers['content-type']).toBe('application/problem+json');
  });
});

describe('demos', () => {
  it('are acquired, shown, extended and given back in the words of their users', async () => {
    const app = await start();
    const acquired = await app.call('POST', '/api/v1/demo/acquire');
    expect(acquired.status).toBe(200);
    expectSchema(app, 'POST', '/api/v1/demo/acquire', acquired.json);
    const { id, url } = acquired.json as { id: string; url: string };
    expect(acquired.json).toMatchObject({ admin_url: `${url}admin/`, ttl_seconds: 60 });
    const shown = await app.call('GET', `/api/v1/demo/${id}`);
    expectSchema(app, 'GET', '/api/v1/demo/{id}', shown.json);
    expect(shown.json).toMatchObject({ id, url, state: 'assigned', expires_at: acquired.json.expires_at });
    const extended = await app.call('POST', `/api/v1/demo/${id}/extend`, { body: { minutes: 2 } });
    expectSchema(app, 'POST', '/api/v1/demo/{id}/extend', extended.json);
    expect(Date.parse(String(extended.json.expires_at)) - Date.parse(String(acquired.json.expires_at))).toBe(120_000);
    const stats = await app.call('GET', '/api/v1/pool/stats');
    expectSchema(app, 'GET', '/api/v1/pool/stats', stats.json);
    expect(stats.json).toMatchObject({ assigned: 1, target: 2, capacity: 100 });
    const released = await app.call('DELETE', `/api/v1/demo/${id}`);
    expect(released).toMatchObject({ status: 200, json: { id, status: 'released' } });
    expect((await app.call('DELETE', `/api/v1/demo/${id}`)).status).toBe(200);
    expect((await app.call('GET', `/api/v1/demo/${id}`)).json).toMatchObject({
      state: 'expired',
      ttl_remaining_seconds: 0,
    });
    const late = await app.call('POST', `/api/v1/demo/${id}/extend`, { body: { minutes: 2 } });
    expect(late.json).toMatchObject({ status: 409, code: 'CONFLICT' });
  });

  it('count down as events', async () => {
    const app = await start({ lease: LEASE.replace('ttlSeconds: 60', 'ttlSeconds: 1.5') });
    const { id } = (await app.call('POST', '/api/v1/demo/acquire')).json;
    const headers = { authorization: `Bearer ${app.adminToken}` };
    const req = request({ port: app.port, path: `/api/v1/demo/${id}/status`, headers, agent: false }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    expect(res.headers['content-type']).toBe('text/event-stream');
    const text = await res.setEncoding('utf8').reduce((all, chunk) => all + chunk, '');
    const events = [...text.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, name, data = '']) => [
      name,
      JSON.parse(data),
    ]);
    expect(events[0]).toEqual(['ttl', { id, ttl_remaining: expect.any(Number), state: 'assigned' }]);
    expect(events.at(-1)).toEqual(['expired', { id }]);
  });

  it.each([
    { what: 'no minutes', body: {}, status: 400 },
    { what: 'too many', body: { minutes: 61 }, status: 400 },
    { what: 'half ones', body: { minutes: 1.5 }, status: 400 },
    { what: 'words', body: { minutes: 'ten' }, status: 400 },
    { what: 'another field', body: { minutes: 1, seconds: 1 }, status: 400 },
    { what: 'what is no JSON', raw: '{', status: 400 },
  ])('are not extended by $what', async ({ body, raw, status }) => {
    const app = await start();
    const { id } = (await app.call('POST', '/api/v1/demo/acquire')).json;
    const answer = await app.call('POST', `/api/v1/demo/${id}/extend`, { body, raw });
    expect(answer).toMatchObject({ status, json: { code: 'INVALID' } });
  });

  it('are not extended beyond the longest time', async () => {
    const app = await start({ lease: LEASE.replace('maxTtlSeconds: 7200', 'maxTtlSeconds: 100') });
    const { id } = (await app.call('POST', '/api/v1/demo/acquire')).json;
    const answer = await app.call('POST', `/api/v1/demo/${id}/extend`, { body: { minutes: 1 } });
    expect(answer.json).toMatchObject({
      status: 400,
      code: 'INVALID',
      detail: expect.stringContaining('100 s at most'),
    });
  });

  it('are out of stock with a word when to come again', async () => {
    const app = await start({ most: 2 });
    for (let n = 0; n < 2; n++) await app.call('POST', '/api/v1/demo/acquire');
    const answer = await app.call('POST', '/api/v1/demo/acquire');
    expect(answer).toMatchObject({ status: 503, json: { code: 'POOL_EXHAUSTED' } });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('without a token belong to whoever knows their id; others are not to be seen', async () => {
    const app = await start({ open: { demo: 100 } });
    const { id } = (await app.call('POST', '/api/v1/demo/acquire', from('203.0.113.9'))).json;
    expect((await app.call('GET', `/api/v1/demo/${id}`, from('198.51.100.1'))).status).toBe(200);
    const extend = { ...from('198.51.100.1'), body: { minutes: 1 } };
    expect((await app.call('POST', `/api/v1/demo/${id}/extend`, extend)).status).toBe(200);
    const own = (await app.call('POST', '/api/v1/demo/acquire')).json.id;
    for (const [method, path, body] of [
      ['GET', `/api/v1/demo/${own}`, undefined],
      ['POST', `/api/v1/demo/${own}/extend`, { minutes: 1 }],
      ['DELETE', `/api/v1/demo/${own}`, undefined],
      ['GET', `/api/v1/demo/${own}/status`, undefined],
    ] as const) {
      expect((await app.call(method, path, { token: null, body })).json, path).toMatchObject({ code: 'NOT_FOUND' });
    }
    expect((await app.call('DELETE', `/api/v1/demo/${id}`, from('198.51.100.1'))).status).toBe(200);
    expect((await app.call('GET', `/api/leases/${id}`, { token: null })).status).toBe(401);
  });
});

describe('names of other systems', () => {
  const CALLS = [
    ['POST', '/create-site'],
    ['GET', '/pool-status'],
    ['POST', '/container'],
    ['GET', '/container/abcdefgh12'],
    ['GET', '/container/abcdefgh12/x'],
    ['POST', '/api/v1/demo/acquire'],
    ['GET', '/api/v1/demo/abcdefgh12'],
    ['POST', '/api/v1/demo/abcdefgh12/extend'],
    ['DELETE', '/api/v1/demo/abcdefgh12'],
    ['GET', '/api/v1/demo/abcdefgh12/status'],
    ['GET', '/api/v1/pool/stats'],
  ] as const;

  it('are not there unless they are switched on', async () => {
    const app = await start({ compat: [] });
    for (const [method, path] of CALLS) {
      expect((await app.call(method, path)).json, path).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    }
  });

  it('need a token', async () => {
    const app = await start();
    for (const [method, path] of CALLS) {
      expect((await app.call(method, path, { token: null })).json, path).toMatchObject({ code: 'UNAUTHORIZED' });
    }
    expect(app.store.current().leases.size).toBe(0);
  });

  it.each([
    { path: '/create-site', body: { colour: 'red' }, status: 400, code: 'INVALID' },
    { path: '/create-site', body: [], status: 400, code: 'INVALID' },
    { path: '/create-site', body: { location: 'mars' }, status: 422, code: 'UNKNOWN_LOCATION' },
    { path: '/container', body: { location: 'enam' }, status: 422, code: 'UNKNOWN_LOCATION' },
    { path: '/container', body: { location: 'a/b' }, status: 400, code: 'INVALID' },
    { path: '/container', body: { maxLifetimeInSeconds: 0 }, status: 400, code: 'INVALID' },
    { path: '/container', body: { maxLifetimeInSeconds: '60' }, status: 400, code: 'INVALID' },
    { path: '/container', body: { maxLifetimeInSeconds: 7201 }, status: 400, code: 'INVALID' },
    { path: '/container', body: { maxLifeTime: 1 }, status: 400, code: 'INVALID' },
    { path: '/api/v1/demo/acquire', body: { template: 'x' }, status: 400, code: 'INVALID' },
  ])('refuse $body at $path with $code', async ({ path, body, status, code }) => {
    const app = await start();
    const answer = await app.call('POST', path, { body });
    expect(answer).toMatchObject({ status, json: { status, code } });
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(app.store.current().leases.size).toBe(0);
  });

  it('are counted by address where they are public, and say when to come again', async () => {
    const app = await start({ open: { demo: 3, site: 1 } });
    const stats = (address: string) => app.call('GET', '/api/v1/pool/stats', from(address));
    const many = await Promise.all(Array.from({ length: 8 }, () => stats('203.0.113.9')));
    expect(many.filter(({ status }) => status === 200)).toHaveLength(3);
    const [refused] = many.filter(({ status }) => status !== 200);
    expect(refused).toMatchObject({ status: 429, json: { code: 'RATE_LIMITED' } });
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(refused?.headers['retry-after'])).toBeLessThanOrEqual(20);
    expect((await stats('203.0.113.10')).status).toBe(200);
    expect((await app.call('GET', '/pool-status', from('203.0.113.9'))).status).toBe(200);
    for (let n = 0; n < 5; n++) expect((await app.call('GET', '/api/v1/pool/stats')).status).toBe(200);
    for (const address of ['2001:db8::1', '2001:db8::2', '2001:db8::3'])
      expect((await stats(address)).status).toBe(200);
    expect((await stats('2001:db8::ffff')).status).toBe(429);
  });

  it('have quotas of leases by address as well', async () => {
    const app = await start({ open: { demo: 100 }, quotas: { hourly: 1, daily: null } });
    const acquire = (address: string) => app.call('POST', '/api/v1/demo/acquire', from(address));
    expect((await acquire('203.0.113.9')).status).toBe(200);
    expect((await acquire('203.0.113.9')).json).toMatchObject({ status: 429, code: 'RATE_LIMITED' });
    expect((await acquire('203.0.113.10')).status).toBe(200);
  });

  it('count what is used under the address, for an administrator to ask', async () => {
    const app = await start({ open: { demo: 100 } });
    await app.call('POST', '/api/v1/demo/acquire', from('203.0.113.9'));
    const { json } = await app.call('GET', '/api/bots?owner=public:203.0.113.9');
    expect(json.bots).toMatchObject([{ owner: 'public:203.0.113.9' }]);
    expect((await app.call('GET', '/api/usage?owner=public:203.0.113.9')).status).toBe(200);
  });

  it('do not take a wrong token for none', async () => {
    const app = await start({ open: { demo: 100 } });
    expect((await app.call('GET', '/api/v1/pool/stats', { token: 'bh_wrong' })).status).toBe(401);
    const basic = { token: null, headers: { authorization: 'Basic eDp5' } };
    expect((await app.call('GET', '/api/v1/pool/stats', basic)).status).toBe(401);
  });

  it('are documented, with the token that the public ones do not need', async () => {
    const app = await start({ open: { container: 5 } });
    const { json } = await app.call('GET', '/openapi', { token: null });
    expect((await new Validator().validate(structuredClone(json))).errors ?? []).toEqual([]);
    const paths = json.paths as Record<string, Record<string, { security: object[]; responses: object }>>;
    expect(paths['/create-site']?.post?.security).toEqual([{ token: [] }]);
    expect(paths['/container']?.post?.security).toEqual([{ token: [] }, {}]);
    expect(Object.keys(paths['/container']?.post?.responses ?? {})).toEqual(
      expect.arrayContaining(['422', '429', '503']),
    );
    expect(Object.keys(paths['/container/{id}'] ?? {})).toEqual(
      expect.arrayContaining(['get', 'post', 'put', 'delete']),
    );
  });

  it('give no token to an owner who is called as those without one', async () => {
    const app = await start();
    const answer = await app.call('POST', '/api/tokens', { body: { role: 'owner', owner: 'public:203.0.113.9' } });
    expect(answer.json).toMatchObject({ code: 'INVALID' });
  });
});
