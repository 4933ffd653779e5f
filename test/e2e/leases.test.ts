import { afterEach, describe, expect, it } from 'vitest';
import type { LeaseView } from '../../lib/services/lease-api.ts';
import { acquire, ask, reserveOf, tenantOf, tenantTemplate, tracesOf, untilAllReady } from './leasing.ts';
import { createSandbox, type Sandbox, sleep } from './support.ts';

/** From the reserve to a holder, back and to the next one, with real processes. */

let sandbox: Sandbox;

async function start(options: Parameters<typeof tenantTemplate>[0], env: Record<string, string> = {}): Promise<void> {
  sandbox = await createSandbox({
    basePort: 26_600,
    templates: { 'tenant.yaml': await tenantTemplate(options) },
    env: { DEFAULT_TEMPLATE: 'tenant', ...env },
  });
  await sandbox.start();
}

afterEach(() => sandbox?.dispose());

const RESERVE = '{ target: 1, min: 0, batchSpacingSeconds: 0 }';

async function restart(how: NodeJS.Signals): Promise<void> {
  await sandbox.stop(how);
  await sandbox.start();
}

describe('a lease of a real process', () => {
  it('hands out a warm one, tells it of lease and fence while it runs, and survives kill -9', async () => {
    await start({ reserve: '{ target: 2, min: 2, batchSpacingSeconds: 0 }' });
    await untilAllReady(sandbox, 2);
    const lease = await acquire(sandbox.client, { owner: 'alice', ttlSeconds: 60 }, 'key-1');
    expect(lease).toMatchObject({ fromPool: true, state: 'running', owner: 'alice' });
    const told = await sandbox.until('it knows its lease', async () => {
      const tenant = await tenantOf(sandbox.client, lease);
      return tenant.lease?.id === lease.id && tenant;
    });
    expect(told.lease).toMatchObject({ id: lease.id, fence: lease.fence, expiresAt: lease.expiresAt, owner: 'alice' });
    const extended = await sandbox.client.post<LeaseView>(`/api/leases/${lease.id}/extend`, { seconds: 30 });
    const later = await sandbox.until('it knows its new time', async () => {
      const tenant = await tenantOf(sandbox.client, lease);
      return tenant.lease?.expiresAt === extended.expiresAt && tenant;
    });
    expect([later.pid, later.lease?.fence]).toEqual([told.pid, lease.fence]);

    await restart('SIGKILL');
    const again = await acquire(sandbox.client, { owner: 'alice', ttlSeconds: 60 }, 'key-1');
    expect([again.id, again.instanceId, again.fence]).toEqual([lease.id, lease.instanceId, lease.fence]);
    await sandbox.untilState(lease.instanceId, 'running');
    expect((await tenantOf(sandbox.client, lease)).pid).toBe(told.pid);
    const other = await acquire(sandbox.client, { owner: 'bob' }, 'key-2');
    expect(other.instanceId).not.toBe(lease.instanceId);
    expect(other.fence).toBeGreaterThan(lease.fence);
  });

  it('ends on time, also when the supervisor is dead at that time, and its holder is out at once', async () => {
    await start({ reserve: RESERVE });
    await untilAllReady(sandbox, 1);
    const lease = await acquire(sandbox.client, { owner: 'alice', ttlSeconds: 3 });
    await sandbox.client.post(`${lease.url}note`, 'mine');
    const { token } = await sandbox.client.post<{ token: string }>('/api/tokens', { owner: 'alice' });
    const mine = { headers: { Authorization: `Bearer ${token}` } };
    expect((await sandbox.client.request(lease.url, mine)).status).toBe(200);
    await sandbox.stop('SIGKILL');
    await sleep(3500);
    expect(sandbox.processesOf(lease.instanceId)).toHaveLength(1); // bots go on without a supervisor
    await sandbox.start();
    const { end } = await sandbox.client.get<LeaseView>(`/api/leases/${lease.id}`);
    expect(end?.how).toBe('expired');
    expect((await sandbox.client.request(lease.url, mine)).status).toBe(404);
    await untilAllReady(sandbox, 1);
    const next = await acquire(sandbox.client, { owner: 'bob', waitSeconds: 30 });
    expect((await tenantOf(sandbox.client, next)).note).toBe('');
  });

  it('makes one on demand when none is ready, and says when to come again when there may be no more', async () => {
    await start({ reserve: RESERVE }, { POOL_MAX_SIZE: '2' });
    await untilAllReady(sandbox, 1);
    expect(await acquire(sandbox.client, { owner: 'a', ttlSeconds: 20 })).toMatchObject({ fromPool: true });
    const cold = await acquire(sandbox.client, { owner: 'b', waitSeconds: 60 });
    expect(cold).toMatchObject({ fromPool: false, state: 'running' });
    expect((await tenantOf(sandbox.client, cold)).lease).toMatchObject({ id: cold.id, fence: cold.fence });
    const { status, body } = await ask(sandbox.client, { owner: 'c' });
    expect([status, (body as { code: string }).code]).toEqual([503, 'POOL_EXHAUSTED']);
    expect(await reserveOf(sandbox.client)).toMatchObject({
      ready: 0,
      assigned: 2,
      acquired: 2,
      fromPool: 1,
      hitRate: 0.5,
    });
  });

  it('makes a warm one anew when its process dies while it waits', async () => {
    await start({ reserve: RESERVE });
    await untilAllReady(sandbox, 1);
    const [bot] = await sandbox.client.bots();
    for (const { pid } of sandbox.processesOf(bot?.instanceId as string)) process.kill(pid, 'SIGKILL');
    await sandbox.until('it runs anew', async () => {
      const now = await sandbox.client.bot(bot?.instanceId as string);
      return now.state === 'running' && now.pid !== bot?.pid;
    });
    await untilAllReady(sandbox, 1);
    expect(await acquire(sandbox.client)).toMatchObject({ fromPool: true, state: 'running' });
  });
});

describe('between two leases', () => {
  it.skipIf(process.getuid?.() !== 0)('nothing of the first holder is left, wherever it was put', async () => {
    await start({ reserve: RESERVE });
    await untilAllReady(sandbox, 1);
    const first = await acquire(sandbox.client, { owner: 'mallory' });
    const before = await tenantOf(sandbox.client, first);
    await sandbox.client.post(`${first.url}note`, 'mine');
    await sandbox.client.post(`${first.url}dirt`, ['--depth', '300']);
    const dirt = await sandbox.until('there is dirt', async () => {
      const { body } = await sandbox.client.request(`/api/bots/${first.instanceId}/logs`);
      return /DIRT (.*)/.exec(String(typeof body === 'string' ? body : JSON.stringify(body)))?.[1];
    });
    expect(dirt).toContain('/dev/shm');
    expect(tracesOf(before.uid).length).toBeGreaterThan(10);
    await sandbox.client.delete(`/api/leases/${first.id}`);
    await untilAllReady(sandbox, 1);
    const ready = sandbox.processesOf(first.instanceId).map(({ pid }) => `process ${pid}`);
    expect(ready).toHaveLength(1);
    expect(tracesOf(before.uid)).toEqual(ready);

    const next = await acquire(sandbox.client, { owner: 'alice' });
    expect(next.instanceId).toBe(first.instanceId); // reused, not made anew
    expect(next.fence).toBeGreaterThan(first.fence);
    const after = await tenantOf(sandbox.client, next);
    expect(after).toMatchObject({ uid: before.uid, note: '' });
    expect(after.token).not.toBe(before.token);
    expect(after.pid).not.toBe(before.pid);
  });

  it('a slot that cannot be proven clean is destroyed and another takes its place', async () => {
    await start({
      reserve: '{ target: 1, min: 1, batchSpacingSeconds: 0 }',
      keep: ['kept'],
      verify: [['test', '!', '-e', 'kept/poison']],
    });
    await untilAllReady(sandbox, 1);
    const first = await acquire(sandbox.client, { owner: 'mallory' });
    await sandbox.client.post(`${first.url}kept/poison`, 'x');
    await sandbox.client.delete(`/api/leases/${first.id}`);
    await sandbox.until(
      'it is gone',
      async () => (await sandbox.client.request(`/api/bots/${first.instanceId}`)).status === 404,
    );
    await untilAllReady(sandbox, 1);
    expect(sandbox.processesOf(first.instanceId)).toEqual([]);
    const next = await acquire(sandbox.client, { owner: 'alice' });
    expect(next.instanceId).not.toBe(first.instanceId);
    expect(await tenantOf(sandbox.client, next)).toMatchObject({ note: '' });
  });
});
