import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { Template } from '../../lib/domain/template.ts';
import { FleetDriver } from '../../lib/drivers/fleet.ts';
import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

const WARM = { target: 2, locations: {}, min: 2, batchSize: 10, batchSpacingSeconds: 0, windows: [] };

/** Two machines under one supervisor: `local` on the first, `weur` on the second, which can be cut off. */
class TwoPlaces implements AsyncDisposable {
  readonly machine: Machine;
  readonly there = new MemoryWorld(clock);
  system!: System;
  #cut = false;

  private constructor(machine: Machine) {
    this.machine = machine;
    this.there.faults.hook = () => {
      if (this.#cut) throw new BunkhouseError('DRIVER_UNAVAILABLE', 'the line is cut');
    };
  }

  static async make(template: Template = quickTemplate()): Promise<TwoPlaces> {
    const places = new TwoPlaces(await Machine.make([template]));
    await places.restart();
    return places;
  }

  /** Another life of the orchestrator. */
  async restart(): Promise<void> {
    await this.system?.[Symbol.asyncDispose]();
    const { machine } = this;
    const store = await machine.store();
    const endpoints = [
      { locations: ['local'], driver: new MemoryDriver({ clock, world: machine.world }) },
      { locations: ['weur'], driver: new MemoryDriver({ clock, world: this.there }) },
    ];
    const driver = new FleetDriver({ endpoints, recorded: () => store.current().containers, clock });
    this.system = new System(machine, {
      driver,
      store,
      ...machine.shelves(),
      accounts: await machine.accounts(),
      locations: { default: 'local', all: ['local', 'weur'] },
      unreachable: () => driver.unreachable(),
    });
    await this.system.reconciler.start(1_000_000_000);
  }

  async cut(): Promise<void> {
    this.#cut = true;
    await this.system.reconciler.pass('all');
  }

  mend(): void {
    this.#cut = false;
  }

  async warm(ready: Record<string, number>): Promise<void> {
    await waitFor(`ready are ${JSON.stringify(ready)}`, () => {
      const found = Object.fromEntries(this.system.leases.reserves().map((status) => [status.location, status.ready]));
      return JSON.stringify(found) === JSON.stringify(ready);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.mend();
    await this.system[Symbol.asyncDispose]();
    this.there.close();
    await this.machine[Symbol.asyncDispose]();
  }
}

const livesIn = (world: MemoryWorld, bot: string): boolean =>
  [...world.containers.values()].some((box) => box.bot(bot)?.alive === true);

describe('two locations', () => {
  it('have containers of their own, with names and ports that nobody shares', async () => {
    await using places = await TwoPlaces.make();
    const { api } = places.system;
    for (const id of ['a', 'b']) await api.createBot(ADMIN, { instanceId: id });
    for (const id of ['c', 'd']) await api.createBot(ADMIN, { instanceId: id, location: 'weur' });
    await places.system.until({ a: 'running', b: 'running', c: 'running', d: 'running' });
    const { pools } = api.poolStatus();
    expect(pools.map(({ id, location, botsCount }) => [id, location, botsCount])).toEqual([
      ['test-echo-1', 'local', 2],
      ['test-echo-2', 'weur', 2],
    ]);
    const ports = api.listBots(ADMIN, {}).bots.map(({ port }) => port);
    expect(new Set(ports).size).toBe(4);
    expect(['a', 'c'].map((bot) => livesIn(places.there, bot))).toEqual([false, true]);
  });

  it('go on while the other is cut off; its bots are unknown and nothing is done to them', async () => {
    await using places = await TwoPlaces.make();
    const { api } = places.system;
    await api.createBot(ADMIN, { instanceId: 'here' });
    await api.createBot(ADMIN, { instanceId: 'there', location: 'weur' });
    await places.system.until({ here: 'running', there: 'running' });
    const before = places.system.store.current().containers;
    await places.cut();
    expect(places.system.states()).toEqual({ here: 'running', there: 'unknown' });
    expect(api.getBot(ADMIN, 'there').reason).toMatch(/location weur cannot be reached: the line is cut/);
    expect(api.locations()).toMatchObject([
      { name: 'local', reachable: true },
      { name: 'weur', reachable: false },
    ]);
    expect((await api.healthCheck()).issues).toContainEqual(expect.objectContaining({ target: 'location weur' }));
    await places.restart();
    await places.system.api.createBot(ADMIN, { instanceId: 'new' });
    await places.system.api.createBot(ADMIN, { instanceId: 'waits', location: 'weur' });
    await places.system.until({ here: 'running', new: 'running', there: 'unknown', waits: 'pending' });
    expect((await places.system.api.cleanup(false)).removedPools).toEqual([]);
    expect(places.system.store.current().containers).toEqual(before);
    expect(livesIn(places.there, 'there')).toBe(true);
    places.mend();
    await places.system.until({ here: 'running', new: 'running', there: 'running', waits: 'running' });
  });
});

describe('leases by location', () => {
  it('come from where they are asked from, and from anywhere when nobody says', async () => {
    await using places = await TwoPlaces.make(leasedTemplate({ reserve: WARM }));
    await places.warm({ local: 2, weur: 2 });
    const { leases } = places.system;
    const acquire = (location?: string) =>
      leases.acquire(ADMIN, { template: 'echo', ...(location === undefined ? {} : { location }) }, null);
    const far = await acquire('weur');
    expect(far).toMatchObject({ location: 'weur', fromPool: true });
    expect(livesIn(places.there, far.instanceId)).toBe(true);
    expect(await acquire()).toMatchObject({ location: 'local', fromPool: true });
    await expect(acquire('mars')).rejects.toMatchObject({ code: 'UNKNOWN_LOCATION' });
    await expect(acquire('enam')).rejects.toThrow('location enam (Eastern North America) is not configured here');
  });

  it('are made in the location asked for when nothing is ready there', async () => {
    const reserve = { ...WARM, locations: { weur: 0 } };
    await using places = await TwoPlaces.make(leasedTemplate({ reserve }));
    await places.warm({ local: 2, weur: 0 });
    const lease = await places.system.leases.acquire(
      ADMIN,
      { template: 'echo', location: 'weur', waitSeconds: 5 },
      null,
    );
    expect(lease).toMatchObject({ location: 'weur', fromPool: false, state: 'running' });
    expect(livesIn(places.there, lease.instanceId)).toBe(true);
  });

  it('take a ready bot elsewhere before one is made in the default location', async () => {
    const reserve = { ...WARM, locations: { local: 0 } };
    await using places = await TwoPlaces.make(leasedTemplate({ reserve }));
    await places.warm({ local: 0, weur: 2 });
    expect(await places.system.leases.acquire(ADMIN, { template: 'echo' }, null)).toMatchObject({
      location: 'weur',
      fromPool: true,
    });
  });

  it('are refused in a location that is cut off, given elsewhere, and nothing of it is handed out or dropped', async () => {
    await using places = await TwoPlaces.make(leasedTemplate({ reserve: WARM }));
    await places.warm({ local: 2, weur: 2 });
    const warm = places.system.store.current().bots.keys.length;
    await places.cut();
    const { leases } = places.system;
    await expect(leases.acquire(ADMIN, { template: 'echo', location: 'weur' }, null)).rejects.toMatchObject({
      code: 'DRIVER_UNAVAILABLE',
      retryAfterSeconds: 5,
    });
    for (let n = 0; n < 3; n++) {
      expect(await leases.acquire(ADMIN, { template: 'echo' }, null)).toMatchObject({ location: 'local' });
    }
    expect(places.system.store.current().bots.keys.length).toBeGreaterThanOrEqual(warm);
    places.mend();
    await waitFor('weur is seen again', async () => {
      await places.system.reconciler.pass('all');
      return places.system.leases.reserves().some(({ location, ready }) => location === 'weur' && ready === 2);
    });
    expect(await leases.acquire(ADMIN, { template: 'echo', location: 'weur' }, null)).toMatchObject({ fromPool: true });
  });
});
