import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ReserveStatus } from '../../lib/services/lease-api.ts';
import { shiftLeases } from '../../lib/services/lease-changes.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

const ALICE = { role: 'owner', owner: 'alice' } as const;
const BOB = { role: 'owner', owner: 'bob' } as const;

const NO_RESERVE = { target: 0, locations: {}, min: 0, batchSize: 1, batchSpacingSeconds: 0, windows: [] };

const reserve = (system: System) => system.leases.reserves()[0] as ReserveStatus;
const ready = (system: System, count: number) => waitFor(`${count} ready`, () => reserve(system).ready >= count, 5000);

describe('leases', () => {
  it('fills the reserve and hands a warm bot out, once', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const leases = await Promise.all(Array.from({ length: 3 }, () => system.leases.acquire(ALICE, {}, null)));
    expect(new Set(leases.map((lease) => lease.instanceId)).size).toBe(3);
    expect(leases.every((lease) => lease.fromPool && lease.owner === 'alice')).toBe(true);
    expect(new Set(leases.map((lease) => lease.fence)).size).toBe(3);
    await ready(system, 3);
    expect(reserve(system).assigned).toBe(3);
  });

  it('is one for the same key, also for those who ask at the same time', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const [one, ...others] = await Promise.all([1, 2, 3].map(() => system.leases.acquire(ALICE, {}, 'key')));
    expect(others).toEqual([one, one]);
    expect(reserve(system)).toMatchObject({ assigned: 1, acquired: 1 });
    expect((await system.leases.acquire(BOB, {}, 'key')).fromPool).toBe(true);
  });

  it('makes one on demand when none is ready, and refuses beyond the most', async () => {
    await using machine = await Machine.make([leasedTemplate({ reserve: NO_RESERVE })]);
    await using system = await System.start(machine);
    const lease = await system.leases.acquire(ALICE, {}, null);
    expect(lease.fromPool).toBe(false);
    await system.until({ [lease.instanceId]: 'running' });
    expect(system.api.getBot(ALICE, lease.instanceId).owner).toBe('alice');
  });

  it('starts a bot for somebody who waits while a refill has everything else busy', async () => {
    const target = 40;
    await using machine = await Machine.make([
      leasedTemplate({ reserve: { ...NO_RESERVE, target, min: target, batchSize: target } }),
    ]);
    const gate = Promise.withResolvers<void>();
    let held = 0;
    machine.world.faults.hook = async ({ method, target: bot, when }) => {
      const phase = (await machine.store()).current().bots.get(bot)?.reserve?.phase;
      if (method !== 'agent.apply' || when !== 'before' || phase !== 'warming') return;
      held += 1;
      await gate.promise;
    };
    await using system = await System.start(machine);
    await waitFor('the refill is held up', () => held >= 10, 5000);
    const lease = await system.leases.acquire(ALICE, { waitSeconds: 10 }, null);
    expect(lease).toMatchObject({ fromPool: false, state: 'running' });
    expect(reserve(system)).toMatchObject({ ready: 0, warming: target });
    gate.resolve();
    await ready(system, target);
  });

  it('shows a lease to its owner and to admins only', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const { id, instanceId } = await system.leases.acquire(ALICE, { ttlSeconds: 90 }, null);
    expect(system.leases.get(ADMIN, id).ttlSeconds).toBe(90);
    expect(() => system.leases.get(BOB, id)).toThrow('there is no');
    expect(() => system.api.getBot(BOB, instanceId)).toThrow('there is no');
    await expect(system.leases.release(BOB, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lets anybody visit a bot of a public template while it is on lease, and at no other time', async () => {
    await using machine = await Machine.make([
      leasedTemplate({}, { proxy: { public: true, headers: {}, query: {} } }),
      quickTemplate({ name: 'closed' }),
    ]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const { id, instanceId } = await system.leases.acquire(ALICE, {}, null);
    const warm = system.store.current().bots.records.filter(({ reserve }) => reserve?.phase === 'ready');
    await system.api.createBot(ADMIN, { instanceId: 'c', template: 'closed' });
    const visit = (bot: string) => () => system.api.route(null, bot);
    expect(visit(instanceId)).not.toThrow();
    for (const bot of [...warm.map((other) => other.instanceId), 'c', 'none']) {
      expect(system.api.isPublic(bot)).toBe(false);
      expect(visit(bot)).toThrow(expect.objectContaining({ code: 'UNAUTHORIZED' }));
    }
    await system.leases.release(ALICE, id);
    expect(visit(instanceId)).toThrow(expect.objectContaining({ code: 'UNAUTHORIZED' }));
  });

  it('takes a released bot from its holder at once, cleans it and hands it out again', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const lease = await system.leases.acquire(ALICE, {}, null);
    const before = system.store.current().bots.get(lease.instanceId);
    const ended = await system.leases.release(ALICE, lease.id);
    expect(ended.end?.how).toBe('released');
    expect(() => system.api.getBot(ALICE, lease.instanceId)).toThrow('there is no');
    await waitFor('it is ready again', () => {
      const bot = system.store.current().bots.get(lease.instanceId);
      return bot?.reserve?.phase === 'ready' && bot.reserve.served === 1;
    });
    const after = system.store.current().bots.get(lease.instanceId);
    expect(after?.owner).toBe('pool');
    expect(after?.restartGeneration).toBeGreaterThan(before?.restartGeneration ?? 0);
  });

  it('destroys a bot that cannot be proven clean, and makes another', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const lease = await system.leases.acquire(ALICE, {}, null);
    machine.world.behaviours.set(lease.instanceId, { cleanable: false });
    await system.leases.release(ALICE, lease.id);
    await waitFor('it is gone', () => system.store.current().bots.get(lease.instanceId) === undefined);
    await ready(system, 3);
  });

  it('lets no lease last longer because the supervisor was started before the clock was right', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    {
      await using system = await System.start(machine);
      await ready(system, 3);
      await system.leases.acquire(ALICE, { ttlSeconds: 60 }, 'key');
      await system.reconciler.close();
      await system.store.update(shiftLeases(86_400_000));
    }
    await using late = await System.start(machine);
    await late.reconciler.settled();
    const { ttlSeconds, end } = await late.leases.acquire(ALICE, {}, 'key');
    expect(end).toBeNull();
    expect(ttlSeconds).toBeGreaterThan(0);
    expect(ttlSeconds).toBeLessThanOrEqual(60);
  });

  it('ends a lease when its time is over', async () => {
    await using machine = await Machine.make([leasedTemplate({ ttlSeconds: 1 })]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const lease = await system.leases.acquire(ALICE, { ttlSeconds: 0.2 }, null);
    await waitFor('it has ended', () => system.leases.get(ALICE, lease.id).end?.how === 'expired');
  });

  it.each([3_600_000, -3_600_000])(
    'lets a lease last as long as it was to when the clock is set by %i ms',
    async (by) => {
      await using machine = await Machine.make([leasedTemplate()]);
      await using system = await System.start(machine);
      await ready(system, 3);
      const long = await system.leases.acquire(ALICE, { ttlSeconds: 60 }, null);
      const short = await system.leases.acquire(ALICE, { ttlSeconds: 1.5 }, null);
      machine.skewMs = by;
      await system.reconciler.pass('all');
      await waitFor('its time is told anew', () => {
        const { expiresAt } = system.leases.get(ALICE, long.id);
        return Math.abs(Date.parse(expiresAt) - Date.parse(long.expiresAt) - by) < 1000;
      });
      expect(system.leases.get(ALICE, long.id)).toMatchObject({ end: null });
      expect(system.leases.get(ALICE, long.id).ttlSeconds).toBeGreaterThan(50);
      expect(system.leases.get(ALICE, long.id).ttlSeconds).toBeLessThanOrEqual(60);
      expect(system.leases.get(ALICE, short.id).end).toBeNull();
      await waitFor('the short one ends', () => system.leases.get(ALICE, short.id).end?.how === 'expired', 5000);
      expect(system.leases.get(ALICE, long.id).end).toBeNull();
    },
  );

  it('extends up to the longest time, and not an ended one', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const lease = await system.leases.acquire(ALICE, {}, null);
    const extended = await system.leases.extend(ALICE, lease.id, 100);
    expect(Date.parse(extended.expiresAt) - Date.parse(lease.expiresAt)).toBe(100_000);
    await expect(system.leases.extend(ALICE, lease.id, 600)).rejects.toMatchObject({ code: 'INVALID' });
    await system.leases.release(ALICE, lease.id);
    await expect(system.leases.extend(ALICE, lease.id, 1)).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('tells a bot of its lease in a file, without a restart', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const fileOf = (bot: string): unknown => {
      const files = [...machine.world.containers.values()].map((box) => box.fileOf(bot, 'lease.json'));
      return JSON.parse(files.find((text) => text !== null) ?? '"none"');
    };
    const { id, instanceId, expiresAt, fence } = await system.leases.acquire(ALICE, {}, null);
    const pid = system.api.getBot(ADMIN, instanceId).pid;
    await waitFor('it is told', () => fileOf(instanceId) !== null);
    expect(fileOf(instanceId)).toEqual({ id, owner: 'alice', expiresAt, fence });
    const extended = await system.leases.extend(ALICE, id, 60);
    await waitFor('it is told again', () => JSON.stringify(fileOf(instanceId)).includes(extended.expiresAt));
    expect(system.api.getBot(ADMIN, instanceId)).toMatchObject({ pid, restarts: 0 });
    await system.leases.release(ALICE, id);
    await waitFor('it is told of the end', () => fileOf(instanceId) === null);
  });

  it('waits for a bot that is made on demand, when asked to', async () => {
    await using machine = await Machine.make([leasedTemplate({ reserve: NO_RESERVE })]);
    await using system = await System.start(machine);
    expect(await system.leases.acquire(ALICE, {}, null)).toMatchObject({ fromPool: false, state: 'pending' });
    const waited = await system.leases.acquire(ALICE, { waitSeconds: 20 }, null);
    expect(waited).toMatchObject({ fromPool: false, state: 'running' });
    machine.world.behaviour = { ...machine.world.behaviour, readyMs: null };
    const late = await system.leases.acquire(ALICE, { waitSeconds: 0.05 }, null);
    expect(late.state).not.toBe('running');
    expect(late.end).toBeNull();
  });

  it('gives one lease to one key, and another to another caller', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const first = await system.leases.acquire(ALICE, {}, 'k');
    expect((await system.leases.acquire(ALICE, {}, 'k')).id).toBe(first.id);
    expect((await system.leases.acquire(BOB, {}, 'k')).id).not.toBe(first.id);
    expect((await system.leases.acquire(ALICE, {}, 'l')).id).not.toBe(first.id);
    expect(reserve(system)).toMatchObject({ acquired: 3, fromPool: 3, hitRate: 1 });
  });

  it('lets nobody change a bot of the reserve, and its holder do no more than restart it', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const { instanceId: bot } = await system.leases.acquire(ALICE, {}, null);
    const conflict = expect.objectContaining({ code: 'CONFLICT' });
    for (const actor of [ALICE, ADMIN]) {
      await expect(system.api.setDesired(actor, bot, 'stopped')).rejects.toEqual(conflict);
      await expect(system.api.changeBot(actor, bot, { env: { A: '1' } })).rejects.toEqual(conflict);
    }
    await expect(system.api.deleteBot(ALICE, bot)).rejects.toEqual(conflict);
    expect((await system.api.restartBot(ALICE, bot)).desired).toBe('running');
  });

  it('ends a lease as lost when an administrator deletes its bot', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const { id, instanceId } = await system.leases.acquire(ALICE, {}, null);
    await system.api.deleteBot(ADMIN, instanceId);
    expect(system.leases.get(ALICE, id)).toMatchObject({ state: null, ttlSeconds: 0, end: { how: 'lost' } });
    await waitFor('it is gone', () => !system.store.current().bots.has(instanceId));
    await ready(system, 3);
  });

  it('shows what waits in the reserve to nobody but administrators', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const { instanceId } = await system.leases.acquire(ALICE, {}, null);
    const seen = (owner: string) => system.api.listBots({ role: 'owner', owner }, {}).bots.map((bot) => bot.instanceId);
    expect(seen('alice')).toEqual([instanceId]);
    expect(seen('pool')).toEqual([]);
    const warm = system.store.current().bots.records.find((bot) => bot.reserve?.phase === 'ready')?.instanceId ?? '';
    expect(() => system.api.getBot({ role: 'owner', owner: 'pool' }, warm)).toThrow('there is no bot');
    expect(system.api.listBots(ADMIN, {}).bots.length).toBeGreaterThanOrEqual(3);
  });

  it('does not hand out a bot that fell ill, and takes it back when it is well', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const ill = system.store.current().bots.keys[0] ?? '';
    machine.world.behaviours.set(ill, { livesMs: 0 });
    machine.world.killBot(ill);
    await waitFor('it is not ready', () => system.store.current().bots.get(ill)?.reserve?.phase === 'warming');
    const leases = await Promise.all([1, 2].map(() => system.leases.acquire(ALICE, {}, null)));
    expect(leases.map(({ instanceId }) => instanceId)).not.toContain(ill);
    machine.world.behaviours.delete(ill);
    await waitFor('it is ready again', () => system.store.current().bots.get(ill)?.reserve?.phase === 'ready');
  });

  it('takes nothing from the reserve when the lease cannot be made durable', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    await system.reconciler.settled();
    const state = join(machine.folder, 'state.json');
    const journal = readdirSync(machine.folder).find((name) => name.includes('journal')) ?? state;
    renameSync(join(machine.folder, journal), join(machine.folder, 'away'));
    const refused = system.leases.acquire(ALICE, {}, null);
    await expect(refused).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(system.leases.list(ALICE)).toEqual([]);
    const leases = await Promise.all([1, 2, 3].map(() => system.leases.acquire(ALICE, {}, null)));
    expect(leases.map(({ fromPool }) => fromPool)).toEqual([true, true, true]);
    expect(new Set(leases.map(({ instanceId }) => instanceId)).size).toBe(3);
  });

  it('ends a lease also while its container is silent, and cleans the bot afterwards', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const { id, instanceId } = await system.leases.acquire(ALICE, { ttlSeconds: 0.1 }, null);
    machine.world.faults.failNext('list', 'DRIVER_UNAVAILABLE', 3);
    await waitFor('it has ended', () => system.leases.get(ALICE, id).end?.how === 'expired');
    await waitFor(
      'it is ready again',
      () => system.store.current().bots.get(instanceId)?.reserve?.phase === 'ready',
      20_000,
    );
  }, 30_000);

  it('limits what one owner may have, and says when to come again', async () => {
    await using machine = await Machine.make([leasedTemplate({ perOwner: 1 })]);
    machine.quotas = { hourly: 2, daily: null };
    await using system = await System.start(machine);
    await ready(system, 3);
    const limited = (after: number) => expect.objectContaining({ code: 'RATE_LIMITED', retryAfterSeconds: after });
    const burst = await Promise.allSettled(Array.from({ length: 9 }, () => system.leases.acquire(ALICE, {}, null)));
    expect(burst.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(system.leases.acquire(ALICE, {}, null)).rejects.toEqual(limited(60));
    for (const { id } of system.leases.list(ALICE)) await system.leases.release(ALICE, id);
    const { id } = await system.leases.acquire(ALICE, {}, null);
    await system.leases.release(ALICE, id);
    await expect(system.leases.acquire(ALICE, {}, null)).rejects.toEqual(limited(3600));
    expect((await system.leases.acquire(BOB, {}, null)).fromPool).toBe(true);
  });

  it('goes on with leases after a restart of the supervisor', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    const first = await System.start(machine);
    await ready(first, 3);
    const lease = await first.leases.acquire(ALICE, {}, null);
    await first[Symbol.asyncDispose]();
    await using second = await System.start(machine);
    expect(second.leases.get(ALICE, lease.id)).toMatchObject({ instanceId: lease.instanceId, end: null });
    await second.leases.release(ALICE, lease.id);
    await ready(second, 3);
  });
});
