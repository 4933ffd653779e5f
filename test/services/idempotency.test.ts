import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hasCode } from '../../lib/domain/errors.ts';
import type { Actor } from '../../lib/domain/state.ts';
import { createIdempotency, type Mutation } from '../../lib/services/idempotency.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger as log } from '../../lib/util/logger.ts';

const HOUR = 3600 * 1000;

const mutation: Mutation = {
  actor: { role: 'admin' },
  key: 'k1',
  method: 'POST',
  path: '/api/bots',
  body: { instanceId: 'a', env: { SECRET: 'exchange-key' } },
};

async function setUp() {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-replies-'));
  const path = join(folder, 'state.json');
  const time = { now: Date.parse('2026-01-01T00:00:00Z') };
  const clock = { ...systemClock, now: () => time.now };
  const store = await openFileStore({ path, clock, log });
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  let done = 0;
  const work = async () => {
    const body = JSON.stringify({ done: ++done });
    return { status: 201, body, kept: body };
  };
  return { idempotency: createIdempotency({ store, clock }), store, time, path, work, done: () => done };
}

describe('idempotency', () => {
  it('does the same request once and gives the first answer again', async () => {
    const { idempotency, work, done } = await setUp();
    expect(await idempotency.run(mutation, work)).toEqual({ status: 201, body: '{"done":1}', replayed: false });
    expect(await idempotency.run(mutation, work)).toEqual({ status: 201, body: '{"done":1}', replayed: true });
    expect(done()).toBe(1);
  });

  it('lets a second one wait for the first that is under way', async () => {
    const { idempotency, work, done } = await setUp();
    const answers = await Promise.all([1, 2, 3].map(() => idempotency.run(mutation, work)));
    expect(answers.map(({ replayed }) => replayed)).toEqual([false, true, true]);
    expect(done()).toBe(1);
  });

  it.each([
    ['body', { body: { instanceId: 'b' } }],
    ['path', { path: '/api/other' }],
    ['method', { method: 'DELETE' }],
  ])('refuses another %s under the same key', async (_what, other) => {
    const { idempotency, work, done } = await setUp();
    await idempotency.run(mutation, work);
    const again = idempotency.run({ ...mutation, ...other }, work);
    await expect(again).rejects.toSatisfy((error) => hasCode(error, 'CONFLICT'));
    expect(done()).toBe(1);
  });

  it('keeps the keys of different actors apart', async () => {
    const { idempotency, work } = await setUp();
    await idempotency.run(mutation, work);
    const other = await idempotency.run({ ...mutation, actor: { role: 'owner', owner: 'alice' } }, work);
    expect(other).toMatchObject({ body: '{"done":2}', replayed: false });
  });

  it('tries again what failed', async () => {
    const { idempotency, work } = await setUp();
    const failing = idempotency.run(mutation, () => Promise.reject(new Error('disk full')));
    await expect(failing).rejects.toThrow('disk full');
    expect(await idempotency.run(mutation, work)).toMatchObject({ replayed: false });
  });

  it('forgets after a day', async () => {
    const { idempotency, work, time } = await setUp();
    await idempotency.run(mutation, work);
    time.now += 23 * HOUR;
    expect(await idempotency.run(mutation, work)).toMatchObject({ replayed: true });
    time.now += 2 * HOUR;
    expect(await idempotency.run(mutation, work)).toMatchObject({ replayed: false });
  });

  it('keeps a thousand, and then drops the oldest hundred', async () => {
    const { idempotency, work, time, store } = await setUp();
    for (let n = 0; n <= 1000; n++) {
      time.now += 1;
      await idempotency.run({ ...mutation, key: `k${n}` }, work);
    }
    expect(store.current().replies.size).toBe(900);
    expect(await idempotency.run({ ...mutation, key: 'k1000' }, work)).toMatchObject({ replayed: true });
    expect(await idempotency.run({ ...mutation, key: 'k101' }, work)).toMatchObject({ replayed: true });
    expect(await idempotency.run({ ...mutation, key: 'k100' }, work)).toMatchObject({ replayed: false });
  }, 60_000);

  const visitor = (address: string): Actor => ({ role: 'owner', owner: `public:${address}` });

  it("gives visitors a small share, so that theirs push out nobody else's, and their own by address", async () => {
    const { idempotency, work, time, store } = await setUp();
    const run = (actor: Actor, key: string) => {
      time.now += 1;
      return idempotency.run({ ...mutation, actor, key }, work);
    };
    await run({ role: 'admin' }, 'admins');
    await run(visitor('192.0.2.1'), 'quiet');
    for (let n = 0; n < 300; n++) await run(visitor('192.0.2.2'), `loud-${n}`);
    expect(store.current().replies.size).toBeLessThanOrEqual(101);
    expect(await run({ role: 'admin' }, 'admins')).toMatchObject({ replayed: true });
    expect(await run(visitor('192.0.2.1'), 'quiet')).toMatchObject({ replayed: true });
    expect(await run(visitor('192.0.2.2'), 'loud-299')).toMatchObject({ replayed: true });
    expect(await run(visitor('192.0.2.2'), 'loud-0')).toMatchObject({ replayed: false });
    expect(await run(visitor('192.0.2.3'), 'quiet')).toMatchObject({ replayed: false });
  });

  it('drops those of whoever has most', async () => {
    const { idempotency, work, time, store } = await setUp();
    const run = (owner: string, key: string) => {
      time.now += 1;
      return idempotency.run({ ...mutation, actor: { role: 'owner', owner }, key }, work);
    };
    for (let n = 0; n < 10; n++) await run('quiet', `k${n}`);
    for (let n = 0; n <= 1000; n++) await run('loud', `k${n}`);
    expect(store.current().replies.size).toBeLessThanOrEqual(1000);
    for (let n = 0; n < 10; n++) expect(await run('quiet', `k${n}`)).toMatchObject({ replayed: true });
  }, 60_000);

  it('keeps what it is told to, not what was answered', async () => {
    const { idempotency, path } = await setUp();
    const secret = async () => ({ status: 200, body: '{"password":"hunter2"}', kept: '{"password":null}' });
    expect(await idempotency.run(mutation, secret)).toMatchObject({ body: '{"password":"hunter2"}', replayed: false });
    expect(await idempotency.run(mutation, secret)).toMatchObject({ body: '{"password":null}', replayed: true });
    expect(await readFile(path, 'utf8')).not.toContain('hunter2');
  });

  it('writes neither the key nor the request', async () => {
    const { idempotency, work, path } = await setUp();
    await idempotency.run({ ...mutation, key: 'my-own-key' }, work);
    const file = await readFile(path, 'utf8');
    expect(file).not.toContain('exchange-key');
    expect(file).not.toContain('my-own-key');
  });
});
