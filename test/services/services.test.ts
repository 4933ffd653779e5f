import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Service } from '../../lib/domain/template.ts';
import { stopGrace } from '../../lib/services/stop-grace.ts';
import { aService, aStep, aTemplate } from '../planner/builders.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

const MIB = 1 << 20;
const withDatabase = (service: Partial<Service> = {}) => quickTemplate({ services: { db: aService(service) } });
const archives = async (machine: Machine): Promise<string[]> =>
  (await readdir(join(machine.folder, 'archives')).catch(() => [])).filter((name) => name.endsWith('.tar.gz'));

describe('the time a container is given to end', () => {
  it.each([
    { what: 'no template', bot: null, services: {}, seconds: 60 },
    { what: 'quick bots', bot: 10, services: {}, seconds: 60 },
    { what: 'slow bots', bot: 120, services: {}, seconds: 130 },
    { what: 'bots, and then their services side by side', bot: 30, services: { a: 60, b: 20 }, seconds: 100 },
  ])('fits $what: $seconds s', ({ bot, services, seconds }) => {
    const stop = (graceSeconds: number) => ({ stop: { signal: 'SIGTERM', graceSeconds } });
    const own = Object.entries(services).map(([name, grace]) => [name, aService(stop(grace))]);
    const template = bot === null ? [] : [aTemplate({ ...stop(bot), services: Object.fromEntries(own) })];
    expect(stopGrace(new Map(template.map((some) => [some.name, some])))).toBe(seconds);
  });
});

interface Told {
  readonly container: string;
  readonly service: string;
  readonly from: string | null;
  readonly to: string;
  readonly reason: string;
}

/** What is told of services from now on. */
function serviceEvents(system: System): () => Told[] {
  const told: Told[] = [];
  const end = new AbortController();
  onTestFinished(() => end.abort());
  void (async () => {
    for await (const { event } of system.events.subscribe({ lastId: null, signal: end.signal, owner: null }))
      if (event.type === 'service.state') told.push(event);
  })();
  return () => told;
}

describe('shared services', () => {
  it('tell when they start, are ready, and end', async () => {
    await using machine = await Machine.make([withDatabase()]);
    machine.world.behaviours.set('service db', { readyMs: 200 });
    await using system = await System.start(machine);
    const told = serviceEvents(system);
    await system.api.createBot(ADMIN, { instanceId: 'a' });
    await system.until({ a: 'running' });
    await waitFor('it is ready', () => told().at(-1)?.to === 'running');
    expect(told().map(({ from, to }) => [from, to])).toEqual([
      [null, 'starting'],
      ['starting', 'running'],
    ]);
    for (let n = 0; n < 3; n++) await system.reconciler.pass('all');
    expect(told()).toHaveLength(2);
    await system.api.deleteBot(ADMIN, 'a');
    await system.until({});
    await waitFor('its end is told', () => told().at(-1)?.to === 'stopped');
  });

  it('are up before bots are, and seen with their container', async () => {
    await using machine = await Machine.make([withDatabase({ provision: [aStep('true')] })]);
    machine.world.behaviours.set('service db', { readyMs: 200 });
    await using system = await System.start(machine);
    for (const instanceId of ['a', 'b']) await system.api.createBot(ADMIN, { instanceId });
    await waitFor('a waits', () => system.api.getBot(ADMIN, 'a').reason === 'waits for service db');
    expect(system.states()).toEqual({ a: 'starting', b: 'starting' });
    await system.until({ a: 'running', b: 'running' });
    const [container] = system.api.poolStatus().pools;
    expect(container?.services).toMatchObject([{ name: 'db', state: 'running', restarts: 0, outdated: false }]);
    expect(container?.memory?.pssBytes).toBe((20 + 40 + 2 * 40) * MIB);
    expect((await system.api.serviceLog('test-echo-1', 'db', 0, 1000)).data).toContain('service db starts');
  });

  it('that die come back, and no bot is restarted for that', async () => {
    await using machine = await Machine.make([withDatabase()]);
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'a' });
    await system.until({ a: 'running' });
    const { pid } = system.api.getBot(ADMIN, 'a');
    const told = serviceEvents(system);
    machine.world.killService('test-echo-1', 'db');
    await waitFor('the restart is seen', () => {
      const [db] = system.api.poolStatus().pools[0]?.services ?? [];
      return db?.restarts === 1 && db.state === 'running';
    });
    expect(system.api.getBot(ADMIN, 'a')).toMatchObject({ pid, restarts: 0, state: 'running' });
    await waitFor('all is told', () => told().at(-1)?.to === 'running');
    expect(told().at(0)).toMatchObject({ container: 'test-echo-1', service: 'db', from: 'running' });
    expect(told().at(0)?.reason).toMatch(/./);
  });

  it('that are not up are an issue of a sweep', async () => {
    await using machine = await Machine.make([
      withDatabase({ backoff: { minSeconds: 60, maxSeconds: 60, healthySeconds: 60 } }),
    ]);
    machine.world.behaviours.set('service db', { livesMs: 5, readyMs: null });
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'a' });
    await waitFor('it has ended', () => system.api.poolStatus().pools[0]?.services[0]?.state === 'backoff');
    expect((await system.api.healthCheck()).issues).toContainEqual({
      target: 'test-echo-1/db',
      problem: 'backoff: exited with code 1',
    });
    expect(system.api.getBot(ADMIN, 'a').reason).toBe('waits for service db (exited with code 1)');
  });

  it('with no room for a bot keep that one waiting, visibly, and let it start when there is', async () => {
    await using machine = await Machine.make([withDatabase({ provision: [aStep('sql')] })]);
    machine.world.behaviours.set('a', { roomable: false });
    await using system = await System.start(machine);
    for (const instanceId of ['a', 'b']) await system.api.createBot(ADMIN, { instanceId });
    await system.until({ a: 'backoff', b: 'running' });
    expect(system.api.getBot(ADMIN, 'a')).toMatchObject({ pid: null, reason: 'provision (sql) failed on purpose' });
    machine.world.behaviours.delete('a');
    await system.until({ a: 'running', b: 'running' });
  });

  it('are told of a bot that is deleted after the container came back, so that its data is saved', async () => {
    const machineTemplate = withDatabase({ archive: [aStep('dump')], deprovision: [aStep('drop')] });
    await using machine = await Machine.make([machineTemplate]);
    machine.world.behaviours.set('a', { roomable: false });
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'a', desired: 'stopped' });
    await system.until({ a: 'stopped' });
    machine.world.killContainer('test-echo-1');
    await system.api.deleteBot(ADMIN, 'a');
    await waitFor('the reason is shown', () => system.api.getBot(ADMIN, 'a').reason.includes('archive (dump) failed'));
    expect(await archives(machine)).toEqual([]);
    machine.world.behaviours.delete('a');
    await waitFor('it is gone', async () => {
      await system.reconciler.pass();
      return system.api.listBots(ADMIN, {}).bots.length === 0;
    });
    expect(await archives(machine)).toHaveLength(1);
  });

  it('keep a container from being cleaned up in which unknown bots may have left something in them', async () => {
    await using machine = await Machine.make([withDatabase()]);
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'a' });
    await system.until({ a: 'running' });
    machine.world.killContainer('test-echo-1');
    await system.store.update((state) => ({ state: { ...state, bots: state.bots.drop('a') }, result: undefined }));
    await system.reconciler.pass('all');
    await waitFor('it runs again', () => machine.world.containers.get('test-echo-1')?.running === true);
    const { kept, removedPools } = await system.api.cleanup(false);
    expect(removedPools).toEqual([]);
    expect(kept).toMatchObject([{ id: 'test-echo-1', why: expect.stringContaining('may be in db too') }]);
  });

  it('serve warm bots, whose rooms are made anew after each lease', async () => {
    const services = { db: aService({ provision: [aStep('create')], deprovision: [aStep('drop')] }) };
    await using machine = await Machine.make([leasedTemplate({}, { services })]);
    await using system = await System.start(machine);
    const ready = () => system.leases.reserves()[0]?.ready;
    await waitFor('three are ready', () => ready() === 3);
    const lease = await system.leases.acquire(ADMIN, { owner: 'alice' }, null);
    expect(lease.fromPool).toBe(true);
    await system.leases.release(ADMIN, lease.id);
    await waitFor(
      'it is ready again',
      () => ready() === 3 && system.api.getBot(ADMIN, lease.instanceId).state === 'running',
    );
    expect(system.api.poolStatus().pools[0]?.services).toMatchObject([{ state: 'running', restarts: 0 }]);
  });
});
