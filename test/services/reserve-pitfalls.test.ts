import { describe, expect, it } from 'vitest';
import type { ReserveStatus } from '../../lib/services/lease-api.ts';
import { waitFor } from '../support/wait-for.ts';
import { leasedTemplate, Machine, System } from './system.ts';

/** Mistakes that reserves elsewhere have made, each with the number it has in our list of them. */

const ALICE = { role: 'owner', owner: 'alice' } as const;
const RESERVE = { target: 3, min: 3, locations: {}, batchSize: 10, batchSpacingSeconds: 0, windows: [] };

const reserve = (system: System) => system.leases.reserves()[0] as ReserveStatus;
const phases = (system: System) => system.store.current().bots.records.map((bot) => bot.reserve?.phase);
const full = (system: System, count = 3) =>
  waitFor(`${count} ready`, () => reserve(system).ready >= count && reserve(system).warming === 0, 10_000);

describe('a reserve', () => {
  it('is found again after a restart and not made beside itself, and hands out at once (14)', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    const first = await System.start(machine);
    await full(first);
    const bots = first.store.current().bots.keys;
    await first[Symbol.asyncDispose]();
    machine.world.faults.failNext('agent.observe', 'AGENT_UNAVAILABLE', 1); // nothing is seen at first
    await using second = await System.start(machine);
    expect(reserve(second).ready).toBe(3);
    await waitFor('they are seen', () => Object.values(second.states()).every((state) => state === 'running'), 5000);
    const leases = await Promise.all([1, 2, 3].map(() => second.leases.acquire(ALICE, {}, null)));
    expect(leases.map(({ instanceId }) => instanceId).sort()).toEqual([...bots]);
    expect(leases.every(({ fromPool }) => fromPool)).toBe(true);
  });

  it('gives no bot and no place in a quota to two who ask at the same time (15)', async () => {
    await using machine = await Machine.make([leasedTemplate({ reserve: { ...RESERVE, target: 10, min: 0 } })]);
    machine.quotas = { hourly: 7, daily: null };
    await using system = await System.start(machine);
    await full(system, 10);
    const burst = await Promise.allSettled(Array.from({ length: 30 }, () => system.leases.acquire(ALICE, {}, null)));
    const granted = burst.flatMap((one) => (one.status === 'fulfilled' ? [one.value.instanceId] : []));
    expect([granted.length, new Set(granted).size]).toEqual([7, 7]);
    expect(reserve(system).ready).toBe(3); // what was refused took nothing
  });

  it('cleans and reuses a bot again and again, each time with other secrets (16)', async () => {
    await using machine = await Machine.make([
      leasedTemplate({ reserve: { ...RESERVE, target: 1, min: 0 } }, { secrets: { token: { bytes: 16 } } }),
    ]);
    await using system = await System.start(machine);
    const secrets = new Set<string | undefined>();
    const bots = new Set<string>();
    for (let n = 0; n < 5; n++) {
      await full(system, 1);
      const { id, instanceId } = await system.leases.acquire(ALICE, {}, null);
      bots.add(instanceId);
      secrets.add(system.store.current().bots.get(instanceId)?.secrets.token);
      await system.leases.release(ALICE, id);
    }
    expect([bots.size, secrets.size]).toEqual([1, 5]);
  });

  it('counts what is on its way, however often it is asked meanwhile (17)', async () => {
    await using machine = await Machine.make([leasedTemplate({ reserve: { ...RESERVE, batchSize: 2 } })]);
    const gate = Promise.withResolvers<void>();
    machine.world.faults.hook = ({ method }) => (method === 'agent.apply' ? gate.promise : undefined);
    await using system = await System.start(machine);
    await waitFor('three are on their way', () => reserve(system).warming === 3, 5000);
    for (let n = 0; n < 20; n++) await system.reconciler.pass('all');
    expect(phases(system)).toEqual(['warming', 'warming', 'warming']);
    gate.resolve();
    await full(system);
    expect(system.store.current().bots.size).toBe(3);
  });

  it('is refilled by the good ones of a batch, and the failed one is tried again for ever (18)', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    machine.world.faults.failNext('create', 'DRIVER_UNAVAILABLE', 1);
    machine.world.faults.failNext('agent.apply', 'AGENT_UNAVAILABLE', 1);
    await using system = await System.start(machine);
    await waitFor('two are ready', () => reserve(system).ready === 2, 10_000);
    await full(system);
    expect(system.store.current().bots.size).toBe(3);
  }, 30_000);

  it('ends a lease whose expiry failed, and gets its bot back (19)', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await full(system);
    const { id, instanceId } = await system.leases.acquire(ALICE, { ttlSeconds: 0.2 }, null);
    machine.world.faults.failNext('agent.reset', 'AGENT_UNAVAILABLE', 1);
    await waitFor('it has ended', () => system.leases.get(ALICE, id).end?.how === 'expired', 5000);
    await waitFor(
      'it is ready again',
      () => system.store.current().bots.get(instanceId)?.reserve?.phase === 'ready',
      10_000,
    );
  }, 30_000);

  it('hands out where it was asked for, and nowhere else (20)', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    await using system = await System.start(machine);
    await full(system);
    await expect(system.leases.acquire(ALICE, { location: 'mars' }, null)).rejects.toMatchObject({
      code: 'UNKNOWN_LOCATION',
    });
    const lease = await system.leases.acquire(ALICE, { location: 'local' }, null);
    expect([lease.location, system.store.current().bots.get(lease.instanceId)?.location]).toEqual(['local', 'local']);
  });
});
