import { afterEach, describe, expect, it } from 'vitest';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import { FleetDriver } from '../../lib/drivers/fleet.ts';
import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { driverContract } from '../contract/driver.ts';
import { codeOf, type DriverHarness, specOf } from '../contract/harness.ts';
import { botSpec, serviceSpec } from '../support/bot-spec.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

/** The containers of the contract are of the second of two machines. */
async function makeHarness(): Promise<DriverHarness> {
  const worlds = [new MemoryWorld(clock), new MemoryWorld(clock)] as const;
  const open = (installation: 'same' | 'other'): FleetDriver => {
    const [far, near] = worlds.map((world) => new MemoryDriver({ clock, world, installation }));
    const endpoints = [
      { locations: ['weur'], driver: far as MemoryDriver },
      { locations: ['sam', 'local'], driver: near as MemoryDriver },
    ];
    return new FleetDriver({ endpoints, recorded: () => ({}), clock });
  };
  const [, near] = worlds;
  return {
    driver: open('same'),
    basePort: 22_000,
    image: null,
    fixtureSpec: botSpec,
    fixtureService: (name) => serviceSpec(name),
    killService: async (container, { name }) => near.killService(container, name),
    kill: async (_, { bot }) => near.killBot(bot),
    isAlive: async (container, { bot, pid }) => near.containers.get(container)?.bot(bot)?.observe().pid === pid,
    // A stranger on a machine is in the way of all endpoints on it.
    occupy: async (port) => {
      for (const world of worlds) world.foreignPorts.add(port);
      return async () => {
        for (const world of worlds) world.foreignPorts.delete(port);
      };
    },
    open,
    dispose: async () => {
      for (const world of worlds) world.close();
    },
  };
}

driverContract('fleet', makeHarness);

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function recordIn(location: string, name = `box-${location}`): ContainerRecord {
  const pool = `demo/default/${location}`;
  const rest = { image: null, removing: false, soleBot: null, emptying: null, entered: true, createdAt: '' };
  return { name, pool, capacity: 3, basePort: 9000, generation: 1, ...rest };
}

function setUp() {
  const time = new ManualClock();
  const [here, there] = [new MemoryWorld(time), new MemoryWorld(time)];
  closers.push(
    () => here.close(),
    () => there.close(),
  );
  const records: Record<string, ContainerRecord> = {};
  const open = (): FleetDriver =>
    new FleetDriver({
      endpoints: [
        { locations: ['local'], driver: new MemoryDriver({ clock: time, world: here }) },
        { locations: ['weur', 'eeur'], driver: new MemoryDriver({ clock: time, world: there }) },
      ],
      recorded: () => records,
      clock: time,
    });
  const make = async (driver: FleetDriver, ...made: ContainerRecord[]): Promise<void> => {
    for (const record of made) {
      records[record.name] = record;
      await driver.create(specOf(record));
    }
  };
  return { time, here, there, records, open, make };
}

const statuses = async (driver: FleetDriver): Promise<Record<string, string>> =>
  Object.fromEntries((await driver.list()).map(({ name, status }) => [name, status]));

describe('a fleet', () => {
  it('makes each container where its location says', async () => {
    const { here, there, open, make } = setUp();
    await make(open(), recordIn('local'), recordIn('weur'), recordIn('eeur'));
    expect([...here.containers.keys()]).toEqual(['box-local']);
    expect([...there.containers.keys()]).toEqual(['box-weur', 'box-eeur']);
    expect(await codeOf(open().create(specOf(recordIn('mars'))))).toBe('DRIVER_UNAVAILABLE');
  });

  it('says what containers of a location are, whatever kinds there are', () => {
    const process = { name: 'process', bindHost: '127.0.0.1' };
    const docker = { name: 'docker', bindHost: '0.0.0.0' };
    const endpoints = [
      { locations: ['here'], driver: Object.assign(new MemoryDriver({ clock }), process) },
      { locations: ['there', 'also'], driver: Object.assign(new MemoryDriver({ clock }), docker) },
      { locations: ['third'], driver: Object.assign(new MemoryDriver({ clock }), docker) },
    ];
    const fleet = new FleetDriver({ endpoints, recorded: () => ({}), clock });
    expect(fleet.name).toBe('process+docker');
    for (const [location, site] of [
      ['here', process],
      ['there', docker],
      ['also', docker],
      ['third', docker],
    ] as const)
      expect(fleet.at(location)).toMatchObject(site);
  });

  it('takes what an endpoint hides for unknown, also when it was not seen before', async () => {
    const { there, records, open, make } = setUp();
    const driver = open();
    await make(driver, recordIn('local'), recordIn('weur'));
    records['box-gone'] = recordIn('eeur', 'box-gone');
    for (const fleet of [driver, open()]) {
      there.faults.failNext('list', 'DRIVER_UNAVAILABLE');
      const found = await fleet.list();
      expect(found).toMatchObject([
        { name: 'box-local', status: 'running' },
        { name: 'box-weur', status: 'unknown', reason: expect.stringMatching(/^location weur cannot be reached: /) },
        { name: 'box-gone', status: 'unknown' },
      ]);
      expect([...fleet.unreachable().keys()]).toEqual(['weur', 'eeur']);
      expect(await statuses(fleet)).toEqual({ 'box-local': 'running', 'box-weur': 'running' });
      expect(fleet.unreachable().size).toBe(0);
    }
  });

  it('says nothing about anything when nobody answers', async () => {
    const { here, there, open, make } = setUp();
    const driver = open();
    await make(driver, recordIn('local'));
    for (const world of [here, there]) world.faults.failNext('list', 'DRIVER_UNAVAILABLE');
    expect(await codeOf(driver.list())).toBe('DRIVER_UNAVAILABLE');
  });

  it('does not know whether there is a container as long as one endpoint hides', async () => {
    const { there, open } = setUp();
    const driver = open();
    there.faults.failNext('list', 'DRIVER_UNAVAILABLE');
    expect(await codeOf(driver.connect('box-x'))).toBe('DRIVER_UNAVAILABLE');
    expect(await codeOf(driver.connect('box-x'))).toBe('NOT_FOUND');
  });

  it('waits for a slow endpoint once, and has its answer when it comes', async () => {
    const { time, there, open, make } = setUp();
    const driver = open();
    await make(driver, recordIn('local'), recordIn('weur'));
    let answer = (): void => {};
    there.faults.hook = ({ method, when }) =>
      method === 'list' && when === 'before' ? new Promise((resolve) => (answer = resolve)) : undefined;
    const first = statuses(driver);
    await settle();
    await time.advance(2_000);
    expect(await first).toEqual({ 'box-local': 'running', 'box-weur': 'unknown' });
    expect(await statuses(driver)).toEqual({ 'box-local': 'running', 'box-weur': 'unknown' });
    answer();
    await settle();
    expect(await statuses(driver)).toEqual({ 'box-local': 'running', 'box-weur': 'running' });
  });

  it('shows what is of no location any more, and one engine with two addresses once', async () => {
    const { here, time, records } = setUp();
    const twice = new FleetDriver({
      endpoints: ['weur', 'enam'].map((location) => ({
        locations: [location],
        driver: new MemoryDriver({ clock: time, world: here }),
      })),
      recorded: () => records,
      clock: time,
    });
    const old = new MemoryDriver({ clock: time, world: here });
    await old.create(specOf({ ...recordIn('local'), basePort: 9100 }));
    await twice.create(specOf(recordIn('enam')));
    records['box-lost'] = recordIn('local', 'box-lost');
    const found = await twice.list();
    expect(found.map(({ name }) => name)).toEqual(['box-local', 'box-enam', 'box-lost']);
    expect(found[2]).toMatchObject({ status: 'unknown', reason: expect.stringContaining('put it into LOCATIONS') });
    await twice.stop('box-local', 1);
    expect(await statuses(twice)).toMatchObject({ 'box-local': 'stopped', 'box-enam': 'running' });
  });

  it('of one endpoint has no other to go on with: it waits, and makes nothing anew that may be elsewhere', async () => {
    const { here, time, records } = setUp();
    const driver = new FleetDriver({
      endpoints: [{ locations: ['local'], driver: new MemoryDriver({ clock: time, world: here }) }],
      recorded: () => records,
      clock: time,
    });
    records['box-weur'] = recordIn('weur');
    expect(await driver.list()).toMatchObject([{ name: 'box-weur', status: 'unknown' }]);
    let answer = (): void => {};
    here.faults.hook = ({ when }) => (when === 'before' ? new Promise((resolve) => (answer = resolve)) : undefined);
    const listed = statuses(driver);
    await time.advance(20_000);
    answer();
    expect(await listed).toEqual({ 'box-weur': 'unknown' });
    here.faults.hook = () => {};
    here.faults.failNext('list', 'DRIVER_UNAVAILABLE');
    expect(await codeOf(driver.list())).toBe('DRIVER_UNAVAILABLE');
  });

  it('takes a name that two endpoints have for unknown', async () => {
    const { there, time, open, make } = setUp();
    const driver = open();
    await make(driver, recordIn('local', 'box-1'));
    const other = new MemoryDriver({ clock: time, world: there });
    await other.create(specOf(recordIn('weur', 'box-1')));
    expect(await driver.list()).toMatchObject([
      { name: 'box-1', status: 'unknown', reason: expect.stringContaining('two locations') },
    ]);
    await other.stop('box-1', 1);
    await other.remove('box-1');
    expect(await statuses(driver)).toEqual({ 'box-1': 'running' });
  });

  it('starts while one endpoint is not fit, and says so; not without any', async () => {
    const { here, there, open } = setUp();
    there.faults.failNext('capabilities', 'DRIVER_UNAVAILABLE', 2);
    const { notes } = await open().capabilities();
    expect(notes).toContainEqual(expect.stringMatching(/^location weur, eeur cannot be reached/));
    here.faults.failNext('capabilities', 'DRIVER_UNAVAILABLE');
    expect(await codeOf(open().capabilities())).toBe('DRIVER_UNAVAILABLE');
  });
});
