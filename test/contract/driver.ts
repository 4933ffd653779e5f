import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import type { Agent, Driver } from '../../lib/drivers/driver.ts';
import { waitFor } from '../support/wait-for.ts';
import { agentContract } from './agent.ts';
import { CAPACITY, type Contract, codeOf, type DriverHarness, PORTS, readBot, specOf } from './harness.ts';
import { serviceContract } from './services.ts';

/** Everything the comments in lib/drivers/driver.ts promise. Every driver passes it, the one in memory too. */
export function driverContract(name: string, makeHarness: () => Promise<DriverHarness>): void {
  describe(`${name} driver keeps the contract`, () => {
    let harness: DriverHarness;
    let made = 0;
    let records: ContainerRecord[] = [];
    let agents: Agent[] = [];

    const contract: Contract = {
      get harness() {
        return harness;
      },
      newRecord() {
        made += 1;
        const record: ContainerRecord = {
          name: `contract-${made}`,
          pool: 'fixture/default/local',
          capacity: CAPACITY,
          basePort: harness.basePort + ((made * CAPACITY) % (PORTS - CAPACITY)),
          generation: made,
          image: harness.image,
          removing: false,
          soleBot: null,
          emptying: null,
          entered: true,
          createdAt: '2026-01-01T00:00:00.000Z',
        };
        records.push(record);
        return record;
      },
      async running() {
        const record = contract.newRecord();
        await harness.driver.create(specOf(record));
        return { record, agent: await contract.connect(record.name) };
      },
      async connect(container, driver = harness.driver) {
        const agent = await driver.connect(container);
        agents.push(agent);
        return agent;
      },
    };

    beforeAll(async () => {
      harness = await makeHarness();
    }, 120_000);

    afterEach(async () => {
      await Promise.all(agents.map((agent) => agent.close()));
      for (const { name: container } of records) {
        for (const driver of [harness.driver, harness.open('other')]) {
          if ((await codeOf(driver.stop(container, 0))) !== 'NOT_FOUND') await driver.remove(container);
        }
      }
      agents = [];
      records = [];
    }, 60_000);

    afterAll(async () => {
      await harness?.dispose();
    }, 120_000);

    containerContract(contract);
    agentContract(contract);
    serviceContract(contract);
  });
}

function containerContract(contract: Contract): void {
  const driver = (): Driver => contract.harness.driver;
  const find = async (name: string) => (await driver().list()).find((container) => container.name === name);

  describe('capabilities', () => {
    it('names the driver', async () => {
      expect(await driver().capabilities()).toMatchObject({ driver: driver().name, notes: expect.any(Array) });
    });
  });

  describe('list', () => {
    it('reports a running container with the facts of its record', async () => {
      const { record } = await contract.running();
      const { name, pool, generation, capacity, basePort } = record;
      expect(await find(name)).toMatchObject({ name, pool, generation, capacity, basePort, status: 'running' });
    });

    it('reports a stopped container too, and forgets a removed one', async () => {
      const { record } = await contract.running();
      await driver().stop(record.name, 1);
      expect(await find(record.name)).toMatchObject({ status: 'stopped' });
      await driver().remove(record.name);
      expect(await find(record.name)).toBeUndefined();
    });

    it('leaves out containers of another installation', async () => {
      const record = contract.newRecord();
      await contract.harness.open('other').create(specOf(record));
      expect(await find(record.name)).toBeUndefined();
    });

    it('is the same for an orchestrator that was started again', async () => {
      const { record } = await contract.running();
      const again = contract.harness.open('same');
      expect((await again.list()).find(({ name }) => name === record.name)).toEqual(await find(record.name));
      const agent = await contract.connect(record.name, again);
      expect((await agent.observe()).bots).toEqual([]);
    });
  });

  describe('create', () => {
    it('makes a container that answers, with no bots in it', async () => {
      const { agent } = await contract.running();
      expect(await agent.observe()).toMatchObject({ protocol: 3, bots: [], directories: [] });
    });

    it('is a no-op for the same record again, also at the same time', async () => {
      const { record, agent } = await contract.running();
      const before = await agent.observe();
      await Promise.all([driver().create(specOf(record)), driver().create(specOf(record))]);
      expect((await agent.observe()).incarnation).toBe(before.incarnation);
      expect((await driver().list()).filter(({ name }) => name === record.name)).toHaveLength(1);
    });

    it('makes once what two ask for at the same time', async () => {
      const record = contract.newRecord();
      await Promise.all([driver().create(specOf(record)), driver().create(specOf(record))]);
      expect(await find(record.name)).toMatchObject({ status: 'running' });
    });

    it('starts a stopped container of that name and keeps its data', async () => {
      const { record, agent } = await contract.running();
      await agent.apply(contract.harness.fixtureSpec('keeper', { slot: 0, port: record.basePort, run: false }));
      await driver().stop(record.name, 1);
      await driver().create(specOf(record));
      const after = await (await contract.connect(record.name)).observe();
      expect(after).toMatchObject({ bots: [], directories: ['keeper'] });
    });

    it('says PORT_IN_USE and leaves nothing behind when a stranger holds a port of the range', async () => {
      const record = contract.newRecord();
      const release = await contract.harness.occupy(record.basePort + 1);
      try {
        expect(await codeOf(driver().create(specOf(record)))).toBe('PORT_IN_USE');
        expect(await find(record.name)).toBeUndefined();
      } finally {
        await release();
      }
      await driver().create(specOf(record));
      expect(await find(record.name)).toMatchObject({ status: 'running' });
    });

    it('says CONFLICT for a name that belongs to another installation, and leaves that alone', async () => {
      const record = contract.newRecord();
      const other = contract.harness.open('other');
      await other.create(specOf(record));
      expect(await codeOf(driver().create(specOf(record)))).toBe('CONFLICT');
      expect(await other.list()).toMatchObject([{ name: record.name, status: 'running' }]);
    });
  });

  describe('start', () => {
    it('starts a stopped container, empty of bots and with another incarnation', async () => {
      const { record, agent } = await contract.running();
      const before = await agent.observe();
      await agent.apply(contract.harness.fixtureSpec('sleeper', { slot: 0, port: record.basePort }));
      await driver().stop(record.name, 5);
      await driver().start(record.name);
      const after = await (await contract.connect(record.name)).observe();
      expect(after.bots).toEqual([]);
      expect(after.incarnation).not.toBe(before.incarnation);
    });

    it('is a no-op for a running one', async () => {
      const { record, agent } = await contract.running();
      const before = await agent.observe();
      await driver().start(record.name);
      expect((await agent.observe()).incarnation).toBe(before.incarnation);
    });

    it('says NOT_FOUND for one that is not there', async () => {
      expect(await codeOf(driver().start(contract.newRecord().name))).toBe('NOT_FOUND');
    });
  });

  describe('stop', () => {
    it('resolves when all processes are dead', async () => {
      const { record, agent } = await contract.running();
      await agent.apply(contract.harness.fixtureSpec('mortal', { slot: 0, port: record.basePort }));
      const bot = await waitFor('mortal runs', () => readBot(agent, 'mortal', 'running'));
      expect(await contract.harness.isAlive(record.name, bot)).toBe(true);
      await driver().stop(record.name, 5);
      expect(await contract.harness.isAlive(record.name, bot)).toBe(false);
      expect(await find(record.name)).toMatchObject({ status: 'stopped' });
    });

    it('may be repeated', async () => {
      const { record } = await contract.running();
      await Promise.all([driver().stop(record.name, 1), driver().stop(record.name, 1)]);
      await driver().stop(record.name, 1);
    });

    it('says NOT_FOUND for one that is not there', async () => {
      expect(await codeOf(driver().stop(contract.newRecord().name, 1))).toBe('NOT_FOUND');
    });
  });

  describe('remove', () => {
    it('refuses while the container runs', async () => {
      const { record, agent } = await contract.running();
      expect(await codeOf(driver().remove(record.name))).toBe('CONFLICT');
      expect((await agent.observe()).bots).toEqual([]);
    });

    it('takes the data along', async () => {
      const { record, agent } = await contract.running();
      await agent.apply(contract.harness.fixtureSpec('gone', { slot: 0, port: record.basePort, run: false }));
      await driver().stop(record.name, 1);
      await driver().remove(record.name);
      await driver().create(specOf(record));
      expect((await (await contract.connect(record.name)).observe()).directories).toEqual([]);
    });

    it('is a no-op for one that is not there', async () => {
      await driver().remove(contract.newRecord().name);
    });
  });

  describe('connect', () => {
    it('says NOT_FOUND for a container that is not there, AGENT_UNAVAILABLE for one that does not run', async () => {
      const { record } = await contract.running();
      await driver().stop(record.name, 1);
      expect(await codeOf(contract.connect(record.name))).toBe('AGENT_UNAVAILABLE');
      expect(await codeOf(contract.connect(contract.newRecord().name))).toBe('NOT_FOUND');
    });
  });

  describe('portsInUse', () => {
    it('finds exactly the ports a stranger holds', async () => {
      const { basePort, capacity } = contract.newRecord();
      expect(await driver().portsInUse(basePort, capacity)).toEqual([]);
      const release = await contract.harness.occupy(basePort + 1);
      try {
        expect(await driver().portsInUse(basePort, capacity)).toEqual([basePort + 1]);
      } finally {
        await release();
      }
    });
  });

  describe('watch', () => {
    it('tells of starts, deaths and removals, until it is aborted', async () => {
      const seen: string[] = [];
      const abort = new AbortController();
      const record = contract.newRecord();
      const heard = (what: string) => waitFor(`event ${what}`, () => seen.includes(`${what} ${record.name}`));
      driver().watch((event) => seen.push(`${event.what} ${event.container}`), abort.signal);
      try {
        await driver().create(specOf(record));
        await heard('started');
        await driver().stop(record.name, 1);
        await heard('died');
        await driver().remove(record.name);
        await heard('removed');
      } finally {
        abort.abort();
      }
      seen.length = 0;
      await driver().create(specOf(record));
      expect(seen).toEqual([]);
    });
  });
}
