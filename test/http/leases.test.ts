import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { Table } from '../../lib/domain/table.ts';
import { waitFor } from '../support/wait-for.ts';
import { type App, type AppOptions, startApp } from './app.ts';
import { expectSchema } from './schema-check.ts';

const LEASE =
  '{ ttlSeconds: 60, reserve: { target: 3, min: 3, batchSpacingSeconds: 0 }, reset: { steps: [{ kind: clear }] }, maxTtlSeconds: 600 }';

interface Reserve {
  readonly ready: number;
  readonly [name: string]: unknown;
}

async function reserveOf(app: App): Promise<Reserve> {
  const { json } = await app.call('GET', '/api/pool/reserve');
  return (json.reserves as Reserve[])[0] as Reserve;
}

async function startLeasing(options: Partial<AppOptions> = {}): Promise<App> {
  const app = await startApp({ lease: LEASE, ...options });
  await waitFor('the reserve is full', async () => (await reserveOf(app)).ready >= 3, 10_000);
  return app;
}

const acquire = (app: App, token: string, body: object = {}, key?: string) =>
  app.call('POST', '/api/leases', { token, body, headers: key === undefined ? {} : { 'idempotency-key': key } });

/** Messages of a lease's countdown, until it ends or breaks. */
async function* countdown(app: App, path: string, token: string): AsyncGenerator<{ event: string; data: object }> {
  const req = request({ port: app.port, path, headers: { authorization: `Bearer ${token}` }, agent: false });
  req.end();
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  expect(res.headers['content-type']).toBe('text/event-stream');
  let text = '';
  try {
    for await (const piece of res.setEncoding('utf8')) {
      const blocks = (text + piece).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = /^event: (.*)$/m.exec(block)?.[1];
        if (event !== undefined) yield { event, data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '{}') };
      }
    }
  } finally {
    req.destroy();
  }
}

describe('leases over HTTP', { timeout: 30_000 }, () => {
  it('are acquired, shown, extended and released, in the shapes of the documentation', async () => {
    await using app = await startLeasing();
    const alice = await app.ownerToken('alice');
    const acquired = await acquire(app, alice, { ttlSeconds: 90 });
    expect(acquired).toMatchObject({
      status: 201,
      json: { owner: 'alice', fromPool: true, state: 'running', end: null },
    });
    expectSchema(app, 'POST', '/api/leases', acquired.json);
    const { id, instanceId } = acquired.json as { id: string; instanceId: string };
    expect(acquired.headers.location).toBe(`/api/leases/${id}`);
    expect(acquired.json.url).toBe(`/bots/${instanceId}/`);
    const path = `/api/leases/${id}`;
    expect((await app.call('GET', path, { token: alice })).json).toMatchObject({ id, ttlSeconds: 90 });
    const extended = await app.call('POST', `${path}/extend`, { token: alice, body: { seconds: 30 } });
    expect(extended.json).toMatchObject({ ttlSeconds: 120 });
    expect((await app.call('GET', '/api/leases', { token: alice })).json).toMatchObject({ leases: [{ id }] });
    const released = await app.call('DELETE', path, { token: alice });
    expect(released).toMatchObject({ status: 200, json: { state: null, ttlSeconds: 0, end: { how: 'released' } } });
    expect((await app.call('DELETE', path, { token: alice })).json).toEqual(released.json);
    expect((await app.call('GET', '/api/leases', { token: alice })).json).toEqual({ leases: [] });
    const late = await app.call('POST', `${path}/extend`, { token: alice, body: { seconds: 30 } });
    expect(late).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
  });

  it('tell their holder, and nobody later, how to get in', async () => {
    await using app = await startLeasing({
      lease: `${LEASE.slice(0, -1)}, access: { user: admin, password: "{{secret.password}}" } }`,
    });
    const alice = await app.ownerToken('alice');
    const { json } = await acquire(app, alice);
    const path = `/api/leases/${json.id}`;
    const secrets = (): unknown => app.store.current().bots.get(json.instanceId as string)?.secrets;
    const password = (secrets() as { password: string }).password;
    expect(json.access).toEqual({ user: 'admin', password });
    expect((await app.call('GET', path, { token: alice })).json.access).toEqual(json.access);
    expect((await app.call('GET', '/api/leases', { token: alice })).json.leases).toMatchObject([{ access: null }]);
    expect((await app.call('DELETE', path, { token: alice })).json.access).toBeNull();
    await waitFor('it is clean', async () => (await reserveOf(app)).ready >= 3, 10_000);
    expect(secrets()).not.toEqual({ password });
  });

  it('are the business of their owner and of administrators', async () => {
    await using app = await startLeasing();
    const [alice, bob] = [await app.ownerToken('alice'), await app.ownerToken('bob')];
    const { id } = (await acquire(app, alice)).json;
    for (const [method, path, body] of [
      ['GET', `/api/leases/${id}`, undefined],
      ['POST', `/api/leases/${id}/extend`, { seconds: 1 }],
      ['DELETE', `/api/leases/${id}`, undefined],
      ['GET', `/api/leases/${id}/status`, undefined],
    ] as const) {
      const { status, json } = await app.call(method, path, { token: bob, body });
      expect([status, json.code], path).toEqual([404, 'NOT_FOUND']);
    }
    expect((await app.call('GET', '/api/leases', { token: bob })).json).toEqual({ leases: [] });
    expect((await app.call('GET', '/api/leases')).json).toMatchObject({ leases: [{ id }] });
    expect((await acquire(app, bob, { owner: 'alice' })).json.code).toBe('FORBIDDEN');
    expect((await acquire(app, app.adminToken, { owner: 'carol' })).json.owner).toBe('carol');
    expect((await app.call('GET', '/api/pool/reserve', { token: bob })).status).toBe(403);
  });

  it.each([
    { what: 'an unknown field', body: { colour: 'red' }, path: 'colour' },
    { what: 'no time', body: { ttlSeconds: 0 }, path: 'ttlSeconds' },
    { what: 'a time in words', body: { ttlSeconds: 'long' }, path: 'ttlSeconds' },
    { what: 'endless waiting', body: { waitSeconds: 301 }, path: 'waitSeconds' },
    { what: 'waiting backwards', body: { waitSeconds: -1 }, path: 'waitSeconds' },
    { what: 'a template that is no name', body: { template: '../x' }, path: 'template' },
    { what: 'a location that is no name', body: { location: 'a/b' }, path: 'location' },
    { what: 'an owner that is none', body: { owner: 'a/b' }, path: 'owner' },
    { what: 'the owner of the reserve', body: { owner: 'pool' }, path: 'owner' },
    { what: 'a template nobody has', body: { template: 'nothing' }, path: null },
    { what: 'more than the longest time', body: { ttlSeconds: 601 }, path: null },
    { what: 'a list', body: [], path: '' },
  ])('refuse $what', async ({ body, path }) => {
    await using app = await startApp({ lease: LEASE });
    const { status, json } = await acquire(app, app.adminToken, body);
    expect([status, json.code]).toEqual([400, 'INVALID']);
    if (path !== null) expect(json.errors).toContainEqual(expect.objectContaining({ path }));
    expect(app.store.current().leases.size).toBe(0);
  });

  it.each(['mars', 'weur'])('refuse location %s, which is not here, and say which are', async (location) => {
    await using app = await startApp({ lease: LEASE });
    const { status, json } = await acquire(app, app.adminToken, { location });
    expect({ status, json }).toMatchObject({
      status: 422,
      json: { code: 'UNKNOWN_LOCATION', details: { known: ['local'] }, detail: expect.stringMatching(/known: local$/) },
    });
    expect(app.store.current().leases.size).toBe(0);
  });

  it('come from the location asked for, each of which keeps its own reserve', async () => {
    await using app = await startApp({ lease: LEASE, locations: ['weur', 'cellar'] });
    const shown = await app.call('GET', '/api/locations', { token: await app.ownerToken('alice') });
    expectSchema(app, 'GET', '/api/locations', shown.json);
    expect(shown.json).toEqual({
      locations: [
        { name: 'weur', title: 'Western Europe', default: true, reachable: true, reason: '' },
        { name: 'cellar', title: null, default: false, reachable: true, reason: '' },
      ],
    });
    const readyIn = async () => {
      const { reserves } = (await app.call('GET', '/api/pool/reserve')).json as { reserves: Reserve[] };
      return Object.fromEntries(reserves.map(({ location, ready }) => [location, ready]));
    };
    await waitFor('both are full', async () => {
      const { weur, cellar } = await readyIn();
      return weur === 3 && cellar === 3;
    });
    const { json } = await acquire(app, app.adminToken, { location: 'cellar' });
    expect(json).toMatchObject({ location: 'cellar', fromPool: true });
    const bot = await app.call('GET', `/api/bots/${json.instanceId}`);
    expect(bot.json.pool).toBe('demo/default/cellar');
    expect((await acquire(app, app.adminToken)).json.location).toBe('weur');
    expect((await app.call('GET', '/api/pool/status')).json.pools).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ location: 'cellar' }),
        expect.objectContaining({ location: 'weur' }),
      ]),
    );
  });

  it.each(['x', 'UPPERCASE0', '..%2f..%2fetc', 'a'.repeat(65)])('have no id like %s', async (id) => {
    await using app = await startApp({ lease: LEASE });
    expect((await app.call('GET', `/api/leases/${id}`)).json.code).toBe('INVALID');
  });

  it('are not given for templates without a lease', async () => {
    await using app = await startApp();
    expect((await acquire(app, app.adminToken)).json).toMatchObject({ code: 'INVALID' });
    expect((await app.call('GET', '/api/pool/reserve')).json).toEqual({ success: true, reserves: [] });
  });

  it('say when to come again, when all are taken and when one has had enough', async () => {
    await using app = await startLeasing({ most: 3, quotas: { hourly: 4, daily: null } });
    const alice = await app.ownerToken('alice');
    for (let n = 0; n < 3; n++) expect((await acquire(app, alice, { ttlSeconds: 10 })).status).toBe(201);
    const exhausted = await acquire(app, alice);
    expect(exhausted).toMatchObject({ status: 503, json: { code: 'POOL_EXHAUSTED' } });
    expect(Number(exhausted.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(exhausted.headers['retry-after'])).toBeLessThanOrEqual(10);
    const { leases } = (await app.call('GET', '/api/leases')).json as { leases: { id: string }[] };
    for (const { id } of leases) await app.call('DELETE', `/api/leases/${id}`);
    await waitFor('one is ready again', async () => (await reserveOf(app)).ready > 0);
    expect((await acquire(app, alice)).status).toBe(201);
    const limited = await acquire(app, alice);
    expect(limited).toMatchObject({ status: 429, json: { code: 'RATE_LIMITED' } });
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(3500);
  });

  it('are the same for the same key, however often and over a restart', async () => {
    const app = await startLeasing();
    const alice = await app.ownerToken('alice');
    const answers = await Promise.all([1, 2, 3].map(() => acquire(app, alice, {}, 'once')));
    const [first] = answers;
    expect(answers.map(({ json }) => json)).toEqual([first?.json, first?.json, first?.json]);
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(2);
    expect((await acquire(app, alice, { ttlSeconds: 5 }, 'once')).json.code).toBe('CONFLICT');
    // As if the supervisor had been killed after the lease was durable and before its answer was.
    await app.store.update((state) => ({ state: { ...state, replies: Table.of({}) }, result: null }));
    await app.close({ keepFolder: true });
    await using again = await startApp({ lease: LEASE, folder: app.folder });
    const answer = await acquire(again, await again.ownerToken('alice'), {}, 'once');
    expect(answer.json).toMatchObject({ id: first?.json.id, fence: first?.json.fence });
    expect(again.store.current().leases.size).toBe(1);
  });

  it('keep nothing for a replay that gets the holder in, and tell it again while they last', async () => {
    await using app = await startLeasing({
      lease: `${LEASE.slice(0, -1)}, access: { password: "{{secret.password}}" } }`,
    });
    const alice = await app.ownerToken('alice');
    const { json } = await acquire(app, alice, {}, 'once');
    const password = app.store.current().bots.get(String(json.instanceId))?.secrets.password;
    const extend = () =>
      app.call('POST', `/api/leases/${json.id}/extend`, {
        token: alice,
        body: { seconds: 5 },
        headers: { 'idempotency-key': 'more' },
      });
    expect((await extend()).json.access).toEqual({ password });
    expect((await extend()).json.access).toEqual({ password });
    const replayed = await acquire(app, alice, {}, 'once');
    expect(replayed.headers['idempotency-replayed']).toBe('true');
    expect(replayed.json).toEqual(json);
    expect(JSON.stringify(app.store.current().replies)).not.toContain(password);
    await app.call('DELETE', `/api/leases/${json.id}`, { token: alice });
    expect((await acquire(app, alice, {}, 'once')).json).toEqual({ ...json, access: null });
  });

  it('count down until they end', async () => {
    await using app = await startLeasing();
    const alice = await app.ownerToken('alice');
    const { id } = (await acquire(app, alice, { ttlSeconds: 1.5 })).json;
    const seen: string[] = [];
    for await (const { event, data } of countdown(app, `/api/leases/${id}/status`, alice)) {
      seen.push(event);
      if (event === 'ttl')
        expect(data).toMatchObject({ ttlSeconds: expect.any(Number), expiresAt: expect.any(String) });
      else expect(data).toEqual({ type: 'expired', how: 'expired' });
    }
    expect(seen[0]).toBe('ttl');
    expect(seen.at(-1)).toBe('expired');
    expect(seen.filter((event) => event === 'expired')).toHaveLength(1);
  });

  it('say that the countdown goes on elsewhere when the server closes', async () => {
    await using app = await startLeasing();
    const alice = await app.ownerToken('alice');
    const { id } = (await acquire(app, alice)).json;
    const messages = countdown(app, `/api/leases/${id}/status`, alice);
    expect((await messages.next()).value?.event).toBe('ttl');
    app.http.close();
    const rest: string[] = [];
    for await (const { event } of messages) rest.push(event);
    expect(rest.at(-1)).toBe('reconnect');
  });

  it('show in the status of the pool and in the metrics', async () => {
    await using app = await startLeasing();
    const alice = await app.ownerToken('alice');
    const { id } = (await acquire(app, alice)).json;
    await acquire(app, alice);
    await app.call('DELETE', `/api/leases/${id}`);
    const status = await app.call('GET', '/api/pool/status');
    expectSchema(app, 'GET', '/api/pool/status', status.json);
    expect(status.json.reserves).toMatchObject([
      {
        template: 'demo',
        location: 'local',
        target: 3,
        minSize: 3,
        maxSize: 100,
        assigned: 1,
        acquired: 2,
        hitRate: 1,
      },
    ]);
    const { text } = await app.call('GET', '/metrics');
    expect(text).toContain('bunkhouse_reserve_target{template="demo",location="local"} 3');
    expect(text).toMatch(/bunkhouse_reserve_refilling\{template="demo",location="local"\} [01]/);
    expect(text).toContain('bunkhouse_reserve_hit_rate{template="demo",location="local"} 1');
    expect(text).toContain('bunkhouse_reserve_bots{template="demo",location="local",phase="assigned"} 1');
    expect(text).toContain('bunkhouse_lease_acquire_seconds_count{template="demo",from_pool="true"} 2');
    expect(text).toContain('bunkhouse_leases_ended_total{template="demo",how="released"} 1');
  });

  it('cannot be changed by the routes of bots', async () => {
    await using app = await startLeasing();
    const alice = await app.ownerToken('alice');
    const { instanceId } = (await acquire(app, alice)).json;
    const bot = `/api/bots/${instanceId}`;
    for (const [method, path, body] of [
      ['POST', `${bot}/stop`, undefined],
      ['PATCH', bot, { env: { A: '1' } }],
      ['DELETE', bot, undefined],
    ] as const) {
      const { status, json } = await app.call(method, path, { token: alice, body });
      expect([status, json.code], `${method} ${path}`).toEqual([409, 'CONFLICT']);
    }
    expect((await app.call('GET', bot, { token: alice })).json).toMatchObject({ desired: 'running' });
  });
});
