import { describe, expect, it } from 'vitest';
import type { ReserveStatus } from '../../lib/services/lease-api.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, System } from './system.ts';

const ALICE = { role: 'owner', owner: 'alice' } as const;
const BOB = { role: 'owner', owner: 'bob' } as const;

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

  it('makes one on demand when none is ready, and refuses beyond the most', async () => {
    await using machine = await Machine.make([
      leasedTemplate({ reserve: { target: 0, min: 0, batchSize: 1, batchSpacingSeconds: 0, windows: [] } }),
    ]);
    await using system = await System.start(machine);
    const lease = await system.leases.acquire(ALICE, {}, null);
    expect(lease.fromPool).toBe(false);
    await system.until({ [lease.instanceId]: 'running' });
    expect(system.api.getBot(ALICE, lease.instanceId).owner).toBe('alice');
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

  it('ends a lease when its time is over', async () => {
    await using machine = await Machine.make([leasedTemplate({ ttlSeconds: 1 })]);
    await using system = await System.start(machine);
    await ready(system, 3);
    const lease = await system.leases.acquire(ALICE, { ttlSeconds: 0.2 }, null);
    await waitFor('it has ended', () => system.leases.get(ALICE, lease.id).end?.how === 'expired');
  });

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
