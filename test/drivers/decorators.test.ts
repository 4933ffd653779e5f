import { afterEach, describe, expect, it } from 'vitest';
import { withDeadlines } from '../../lib/drivers/deadline.ts';
import type { Agent, Driver } from '../../lib/drivers/driver.ts';
import type { Method } from '../../lib/drivers/memory/faults.ts';
import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { type DriverCall, withMetrics } from '../../lib/drivers/metrics.ts';
import { codeOf, specOf } from '../contract/harness.ts';
import { botSpec, serviceSpec, serviceUse } from '../support/bot-spec.ts';
import { ManualClock } from '../support/manual-clock.ts';

const record = {
  name: 'a-b-1',
  pool: 'a/b/c',
  capacity: 2,
  basePort: 9000,
  generation: 1,
  image: null,
  removing: false,
  soleBot: null,
  emptying: null,
  entered: true,
  createdAt: '',
};
const services = [serviceUse(serviceSpec('db'))];
const spec = botSpec('ann', { slot: 0, port: 9000, run: false, services });

/** Every method there is, so that none can be forgotten by a decorator. */
const CALLS: Record<Method, (driver: Driver, agent: Agent) => Promise<unknown>> = {
  capabilities: (driver) => driver.capabilities(),
  list: (driver) => driver.list(),
  create: (driver) => driver.create(specOf(record)),
  start: (driver) => driver.start('a-b-1'),
  portsInUse: (driver) => driver.portsInUse(9000, 2),
  connect: (driver) => driver.connect('a-b-1'),
  'agent.observe': (_, agent) => agent.observe(),
  'agent.apply': (_, agent) => agent.apply(spec),
  'agent.listener': (_, agent) => agent.listener('ann'),
  'agent.log': (_, agent) => agent.log('ann', 0, 100),
  'agent.serviceLog': (_, agent) => agent.serviceLog('db', 0, 100),
  'agent.reset': (_, agent) => agent.reset('ann', 1, { steps: [], verify: [] }),
  'agent.archive': (_, agent) => agent.archive('ann'),
  'agent.backup': (_, agent) => agent.backup('ann'),
  'agent.sendArchive': (_, agent) => agent.sendArchive('ann', 'x', 0, Buffer.from('x')),
  'agent.restored': (_, agent) => agent.restored('ann', 'x'),
  'agent.restore': (_, agent) => agent.restore('ann', 1, { upload: 'x', sha256: '', maxBytes: 1, tolerate: false }),
  'agent.fetchArchive': (_, agent) => agent.fetchArchive('x', 0, 100),
  'agent.discardArchive': (_, agent) => agent.discardArchive('x'),
  'agent.wait': (_, agent) => agent.wait(0, 5),
  'agent.remove': (_, agent) => agent.remove('ann', 2),
  stop: (driver) => driver.stop('a-b-1', 5),
  remove: (driver) => driver.remove('a-b-1'),
};
const METHODS = Object.keys(CALLS) as Method[];

const worlds: MemoryWorld[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
});

async function setUp(decorate: (driver: Driver, clock: ManualClock) => Driver) {
  const clock = new ManualClock();
  const world = new MemoryWorld(clock);
  worlds.push(world);
  const driver = decorate(new MemoryDriver({ clock, world }), clock);
  await driver.create(specOf(record));
  return { clock, world, driver, agent: await driver.connect('a-b-1') };
}

describe('driver with deadlines', () => {
  it.each(METHODS)('ends %s when it hangs', async (method) => {
    const { clock, world, driver, agent } = await setUp(withDeadlines);
    world.faults.hangNext(method);
    const outcome = codeOf(CALLS[method](driver, agent));
    await clock.advance(4_000_000);
    expect(await outcome).toBe('DEADLINE');
  });

  it('passes results and errors on, and leaves no timer', async () => {
    const { clock, driver, agent } = await setUp(withDeadlines);
    expect(await driver.list()).toMatchObject([{ name: 'a-b-1' }]);
    expect(await codeOf(driver.start('other'))).toBe('NOT_FOUND');
    expect(await agent.apply({ ...spec, services: [] })).toMatchObject({ bot: 'ann' });
    expect(clock.pending).toBe(0);
  });

  it('gives a stop its grace, and a wait its seconds', async () => {
    const { clock, world, driver, agent } = await setUp(withDeadlines);
    const { cursor } = await agent.observe();
    const waited = agent.wait(cursor, 300);
    await clock.advance(300_000);
    expect(await waited).toMatchObject({ changed: [] });
    world.faults.latencyMs = 300_000;
    const stopped = codeOf(driver.stop('a-b-1', 300));
    await clock.advance(300_000);
    expect(await stopped).toBe('no error');
  });
});

describe('driver with metrics', () => {
  const counted = async () => {
    const calls: DriverCall[] = [];
    const made = await setUp((driver, clock) => withMetrics(driver, clock, (call) => calls.push(call)));
    calls.length = 0;
    return { ...made, calls };
  };

  it.each(METHODS)('tells when %s fails, with its code', async (method) => {
    const { world, driver, agent, calls } = await counted();
    world.faults.failNext(method, 'RATE_LIMITED');
    expect(await codeOf(CALLS[method](driver, agent))).toBe('RATE_LIMITED');
    expect(calls).toEqual([{ method, outcome: 'RATE_LIMITED', ms: 0 }]);
  });

  it('tells how long a call took', async () => {
    const { clock, world, driver, calls } = await counted();
    world.faults.latencyMs = 40;
    const listed = driver.list();
    await clock.advance(40);
    await listed;
    expect(calls).toEqual([{ method: 'list', outcome: 'ok', ms: 40 }]);
  });

  it('tells of a wait only when it fails', async () => {
    const { agent, calls } = await counted();
    await agent.wait(0, 5);
    expect(calls).toEqual([]);
  });
});
