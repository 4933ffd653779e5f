import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { emptyState } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import type { FaultPoint } from '../../lib/drivers/memory/faults.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { findBot } from '../../lib/services/bot-container-mapper.ts';
import { GroupCommit } from '../../lib/store/group-commit.ts';
import type { Ledger } from '../../lib/store/ledger.ts';
import type { Store } from '../../lib/store/store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

/** Stops chosen calls until they are let go. */
class Gate {
  readonly arrived: string[] = [];
  readonly #isMeant: (point: FaultPoint) => boolean;
  readonly #open = Promise.withResolvers<void>();

  constructor(machine: Machine, isMeant: (point: FaultPoint) => boolean) {
    this.#isMeant = isMeant;
    const earlier = machine.world.faults.hook;
    machine.world.faults.hook = async (point) => {
      await earlier(point);
      if (!this.#isMeant(point)) return;
      this.arrived.push(point.target);
      await this.#open.promise;
    };
  }

  open(): void {
    this.#open.resolve();
  }
}

const livesOf = (machine: Machine, bot: string): string[] =>
  [...machine.world.containers.values()].filter((box) => box.bot(bot)?.alive === true).map((box) => box.record.name);

describe('a store that cannot be written', () => {
  it('is tried again at growing distances, not in a busy loop', async () => {
    await using machine = await Machine.make();
    const real = await machine.store();
    let full = false;
    let tries = 0;
    const store: Store = {
      current: () => real.current(),
      settled: () => real.settled(),
      close: () => real.close(),
      update: async (change) => {
        if (!full) return real.update(change);
        tries += 1;
        throw new BunkhouseError('STORE_UNAVAILABLE', 'the disk is full');
      },
    };
    const driver = new MemoryDriver({ clock, world: machine.world });
    await using system = new System(machine, {
      driver,
      store,
      ...machine.shelves(),
      accounts: await machine.accounts(),
    });
    await system.reconciler.start(1_000_000_000);
    await system.api.createBot(ADMIN, { instanceId: 'b0', desired: 'stopped' }).then(() => {
      full = true;
    });
    await clock.sleep(400);
    expect(tries).toBeGreaterThan(0);
    expect(tries).toBeLessThan(4);
    expect(system.api.getBot(ADMIN, 'b0').state).toBe('pending');
    const { held } = await system.api.plan();
    expect(held).toEqual([{ target: 'b0', why: 'the disk is full' }]);
    full = false;
    await system.until({ b0: 'stopped' });
  });
});

/** Keeps states in memory; commits wait as long as it is shut, and then end as it says. */
class StagedLedger implements Ledger {
  waiting = 0;
  #gate: PromiseWithResolvers<void> | null = null;

  shut(): void {
    this.#gate = Promise.withResolvers();
    // Nobody may be waiting when it opens.
    this.#gate.promise.catch(() => {});
  }

  open(failure?: Error): void {
    if (failure === undefined) this.#gate?.resolve();
    else this.#gate?.reject(failure);
    this.#gate = null;
  }

  async commit(): Promise<void> {
    this.waiting += 1;
    await this.#gate?.promise.finally(() => {
      this.waiting -= 1;
    });
  }

  async close(): Promise<void> {}
}

async function stagedSystem(machine: Machine): Promise<{ system: System; ledger: StagedLedger }> {
  const ledger = new StagedLedger();
  const system = new System(machine, {
    driver: new MemoryDriver({ clock, world: machine.world }),
    store: new GroupCommit(emptyState('test'), ledger),
    ...machine.shelves(),
    accounts: await machine.accounts(),
  });
  await system.reconciler.start(1_000_000_000);
  return { system, ledger };
}

describe('a change that is not durable yet', () => {
  const full = new BunkhouseError('STORE_UNAVAILABLE', 'the disk is full');

  it('is not told to a container, also when it never will be', async () => {
    await using machine = await Machine.make();
    const staged = await stagedSystem(machine);
    const { ledger } = staged;
    await using system = staged.system;
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    await system.reconciler.settled();
    const [box] = machine.world.containers.values();
    const before = box?.bot('b0')?.spec;
    ledger.shut();
    const change = system.api.changeBot(ADMIN, 'b0', { env: { A: '1' } });
    system.reconciler.request('all');
    await clock.sleep(20);
    expect(box?.bot('b0')?.spec).toEqual(before);
    ledger.open(full);
    await expect(change).rejects.toThrow('the disk is full');
    await system.api.setDesired(ADMIN, 'b0', 'stopped');
    await system.until({ b0: 'stopped' });
    expect(box?.bot('b0')?.spec.env).toEqual(before?.env);
  });

  it('costs nobody a lease when it fails', async () => {
    await using machine = await Machine.make([leasedTemplate()]);
    const staged = await stagedSystem(machine);
    const { ledger } = staged;
    await using system = staged.system;
    const isFull = () => system.leases.reserves()[0]?.ready === 3;
    await waitFor('three warm bots', isFull);
    const { id, instanceId } = await system.leases.acquire(ADMIN, {}, null);
    await clock.sleep(1);
    await waitFor('three others', isFull);
    await system.reconciler.settled();
    ledger.shut();
    const extended = system.leases.extend(ADMIN, id, 30);
    system.reconciler.request('all');
    await clock.sleep(20);
    ledger.open(full);
    await expect(extended).rejects.toThrow('the disk is full');
    await system.reconciler.pass('all');
    await system.reconciler.settled();
    expect(system.leases.get(ADMIN, id).end).toBeNull();
    expect(system.store.current().bots.get(instanceId)?.reserve?.phase).toBe('assigned');
  });
});

describe('an answer that was lost', () => {
  it('leaves no complaint behind once the bot is seen to be well', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    machine.world.faults.loseNextAnswer('agent.apply');
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    await waitFor('no complaint', () => system.api.getBot(ADMIN, 'b0').reason === '', 3000);
  });

  it('does not keep a container that runs from taking bots', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    machine.world.faults.loseNextAnswer('create');
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    await waitFor('no complaint', () => system.api.poolStatus().pools[0]?.reason === '', 3000);
    await system.api.createBot(ADMIN, { instanceId: 'b1' });
    await system.until({ b0: 'running', b1: 'running' });
    expect(system.api.poolStatus().totalPools).toBe(1);
  });
});

describe('a look that is older than what was done since', () => {
  it('never makes a bot forgotten that runs', async () => {
    await using machine = await Machine.make([quickTemplate(), quickTemplate({ name: 'other' })]);
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'o', template: 'other' });
    await system.until({ o: 'running' });
    const apply = new Gate(machine, ({ method, when }) => method === 'agent.apply' && when === 'before');
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await waitFor('the apply', () => apply.arrived.length === 1);
    await system.reconciler.pass('all');
    await system.store.update((state) => ({
      state: { ...state, bots: state.bots.put('b0', { ...findBot(state, 'b0'), deleting: true, generation: 99 }) },
      result: undefined,
    }));
    // A pass sees b0's container before b0 is applied and goes on waiting for the other container.
    const look = new Gate(
      machine,
      ({ method, target, when }) => method === 'agent.observe' && target === 'test-other-1' && when === 'before',
    );
    const pass = system.reconciler.pass('all');
    await waitFor('the look', () => look.arrived.length === 1);
    await clock.sleep(20);
    apply.open();
    await waitFor('the process', () => livesOf(machine, 'b0').length === 1);
    await clock.sleep(20);
    look.open();
    await pass;
    await system.until({ o: 'running' });
    expect(livesOf(machine, 'b0')).toEqual([]);
  });
});

describe('a step that waited its turn', () => {
  it('is not carried out when its bot was changed meanwhile', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    const ids = Array.from({ length: 17 }, (_, index) => `b${index}`);
    const gate = new Gate(machine, ({ method, when }) => method === 'agent.apply' && when === 'before');
    await Promise.all(ids.map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await waitFor('all lanes to be busy', () => gate.arrived.length === 16);
    const last = ids.find((id) => !gate.arrived.includes(id)) as string;
    await system.api.setDesired(ADMIN, last, 'stopped');
    gate.open();
    await waitFor('all', () => Object.values(system.states()).filter((state) => state === 'running').length === 16);
    await waitFor('the last', () => system.states()[last] === 'stopped');
    expect(gate.arrived.filter((bot) => bot === last)).toEqual([last]);
  });
});

describe('steps that take long', () => {
  it('do not hold up those of another kind', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    const ids = Array.from({ length: 17 }, (_, index) => `b${index}`);
    await Promise.all(ids.map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await waitFor('all', () => Object.values(system.states()).every((state) => state === 'running'));
    const gate = new Gate(machine, ({ method, when }) => method === 'agent.archive' && when === 'before');
    await Promise.all(ids.map((id) => system.api.deleteBot(ADMIN, id)));
    await waitFor('the archives', () => gate.arrived.length === 16);
    await system.api.createBot(ADMIN, { instanceId: 'new' });
    await waitFor('the new one', () => system.states().new === 'running', 2000);
    gate.open();
    await system.until({ new: 'running' });
  });
});

describe('a template that changed under its bots', () => {
  it('holds up neither passes nor the other bots when a check wants a secret they do not have', async () => {
    await using machine = await Machine.make();
    {
      await using system = await System.start(machine);
      await system.api.createBot(ADMIN, { instanceId: 'b0' });
      await system.until({ b0: 'running' });
    }
    const check = { kind: 'http' as const, timeoutSeconds: 1, path: '/', status: 200, json: {} };
    const checks = [{ ...check, headers: { authorization: '{{secret.fresh}}' } }];
    machine.templates.set('echo', quickTemplate({ checks, secrets: { fresh: { bytes: 8 } } }));
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b1' });
    await waitFor('the other bot', () => system.states().b1 === 'running');
    expect(system.api.getBot(ADMIN, 'b0')).toMatchObject({
      state: 'starting',
      reason: expect.stringContaining('the bot has no secret named fresh'),
    });
  });
});

describe('a store that was set back to an older copy', () => {
  const setBack = async (machine: Machine, containers: boolean): Promise<void> => {
    const store = await machine.store();
    await store.update((state) => {
      const bots = state.bots.records.map((bot) => [bot.instanceId, { ...bot, placement: null }] as const);
      const kept = containers ? state.containers : {};
      return {
        state: { ...state, generation: 0, bots: Table.from(bots), containers: kept },
        result: undefined,
      };
    });
  };

  it('finds its bots where they run', async () => {
    await using machine = await Machine.make();
    {
      await using system = await System.start(machine);
      for (const instanceId of ['b0', 'b1', 'b2']) await system.api.createBot(ADMIN, { instanceId });
      await system.until({ b0: 'running', b1: 'running', b2: 'running' });
      await system.api.deleteBot(ADMIN, 'b0');
      await system.until({ b1: 'running', b2: 'running' });
    }
    await setBack(machine, true);
    await using system = await System.start(machine);
    await system.until({ b1: 'running', b2: 'running' });
    await system.reconciler.settled();
    expect([livesOf(machine, 'b1'), livesOf(machine, 'b2')]).toEqual([['test-echo-1'], ['test-echo-1']]);
    expect(system.api.listBots(ADMIN, {}).bots.map(({ slot, port }) => [slot, port])).toEqual([
      [1, 9001],
      [2, 9002],
    ]);
  });

  it('starts no bot again that runs in a container it does not know', async () => {
    await using machine = await Machine.make();
    {
      await using system = await System.start(machine);
      await system.api.createBot(ADMIN, { instanceId: 'b0' });
      await system.until({ b0: 'running' });
    }
    await setBack(machine, false);
    await using system = await System.start(machine);
    await system.reconciler.settled();
    expect(livesOf(machine, 'b0')).toEqual(['test-echo-1']);
    expect((await system.api.plan()).held).toEqual([
      { target: 'b0', why: expect.stringContaining('is in test-echo-1 already') },
    ]);
  });

  it('gives no slot away in which a bot runs that it does not know', async () => {
    await using machine = await Machine.make();
    {
      await using system = await System.start(machine);
      await system.api.createBot(ADMIN, { instanceId: 'b0' });
      await system.until({ b0: 'running' });
      await system.store.update((state) => ({ state: { ...state, bots: Table.of({}) }, result: undefined }));
    }
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b1' });
    await system.until({ b1: 'running' });
    expect(system.api.getBot(ADMIN, 'b1')).toMatchObject({ container: 'test-echo-1', slot: 1 });
  });
});

describe('many changes at a time', () => {
  it('leave as much time between passes as the passes take', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    let passes = 0;
    const listingMs = 10;
    machine.world.faults.hook = async ({ method, when }) => {
      if (method !== 'list' || when === 'after') return;
      passes += 1;
      await clock.sleep(listingMs);
    };
    const ids = Array.from({ length: 30 }, (_, index) => `b${index}`);
    const began = clock.monotonic();
    await Promise.all(ids.map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    for (let asked = 0; asked < 100; asked++) {
      system.reconciler.request();
      await clock.sleep(5);
    }
    await system.until(Object.fromEntries(ids.map((id) => [id, 'running'])));
    const elapsed = clock.monotonic() - began;
    expect(passes * listingMs).toBeLessThan(elapsed * 0.6);
  });
});

describe('closing', () => {
  it('waits for the step under way and begins no other', async () => {
    await using machine = await Machine.make();
    const system = await System.start(machine);
    const gate = new Gate(machine, ({ method, when }) => method === 'create' && when === 'before');
    const ids = Array.from({ length: 60 }, (_, index) => `b${index}`);
    await Promise.all(ids.map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await waitFor('all lanes to be busy', () => gate.arrived.length === 16);
    const closing = system.reconciler.close();
    await clock.sleep(20);
    gate.open();
    await closing;
    expect(machine.world.containers.size).toBe(16);
    await clock.sleep(50);
    expect(machine.world.containers.size).toBe(16);
  });
});

describe('a container that could not be asked once', () => {
  it('is looked at again soon, although nobody tells of a change', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    machine.world.faults.failNext('agent.observe', 'AGENT_UNAVAILABLE', 3);
    await system.reconciler.pass('all');
    expect(system.states()).toEqual({ b0: 'unknown' });
    await system.until({ b0: 'running' });
  });
});
