import { afterEach, describe, expect, it } from 'vitest';
import type { FaultPoint } from '../../lib/drivers/memory/faults.ts';
import { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { codeOf, specOf } from '../contract/harness.ts';
import { botSpec } from '../support/bot-spec.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

const worlds: MemoryWorld[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
});

function setUp() {
  const clock = new ManualClock();
  const world = new MemoryWorld(clock, () => 0.5);
  worlds.push(world);
  return { clock, world, driver: new MemoryDriver({ clock, world }) };
}

const record = (name = 'a-b-1', basePort = 9000, capacity = 10) => ({
  name,
  pool: 'a/b/c',
  capacity,
  basePort,
  generation: 1,
  image: null,
  removing: false,
  soleBot: null,
  emptying: null,
  entered: true,
  createdAt: '',
});

async function withContainer() {
  const world = setUp();
  await world.driver.create(specOf(record()));
  return { ...world, agent: await world.driver.connect('a-b-1') };
}

describe('memory driver: faults', () => {
  it('fails the next calls with a code, having done nothing', async () => {
    const { world, driver } = setUp();
    world.faults.failNext('create', 'DRIVER_UNAVAILABLE', 2);
    expect(await codeOf(driver.create(specOf(record())))).toBe('DRIVER_UNAVAILABLE');
    expect(await driver.list()).toEqual([]);
    expect(await codeOf(driver.create(specOf(record())))).toBe('DRIVER_UNAVAILABLE');
    expect(await codeOf(driver.create(specOf(record())))).toBe('no error');
  });

  it('loses an answer after the work was done', async () => {
    const { world, driver, agent } = await withContainer();
    world.faults.loseNextAnswer('agent.apply');
    expect(await codeOf(agent.apply(botSpec('ann', { slot: 0, port: 9000 })))).toBe('AGENT_UNAVAILABLE');
    expect((await agent.observe()).bots).toMatchObject([{ bot: 'ann' }]);
    world.faults.loseNextAnswer('stop');
    expect(await codeOf(driver.stop('a-b-1', 1))).toBe('DRIVER_UNAVAILABLE');
    expect(await driver.list()).toMatchObject([{ status: 'stopped' }]);
  });

  it('hangs before or after the work', async () => {
    const { world, driver } = setUp();
    let answered = 0;
    world.faults.hangNext('create', 'undone');
    void driver.create(specOf(record('never'))).then(() => answered++);
    world.faults.hangNext('create', 'done');
    void driver.create(specOf(record('made', 9100))).then(() => answered++);
    await settle();
    expect((await driver.list()).map(({ name }) => name)).toEqual(['made']);
    expect(answered).toBe(0);
  });

  it('calls a hook before and after each method', async () => {
    const { world, driver, agent } = await withContainer();
    const seen: FaultPoint[] = [];
    world.faults.hook = (point) => void seen.push(point);
    await agent.observe();
    await driver.start('a-b-1');
    expect(seen.map(({ when, method, target }) => `${when} ${method} ${target}`)).toEqual([
      'before agent.observe a-b-1',
      'after agent.observe a-b-1',
      'before start a-b-1',
      'after start a-b-1',
    ]);
  });

  it('lets a hook stop the orchestrator dead, and another one go on in the same world', async () => {
    const { clock, world, driver } = setUp();
    world.faults.hook = ({ method, when }) =>
      method === 'create' && when === 'after' ? new Promise(() => {}) : undefined;
    void driver.create(specOf(record()));
    await settle();
    world.faults.clear();
    const next = new MemoryDriver({ clock, world });
    expect(await next.list()).toMatchObject([{ name: 'a-b-1', status: 'running' }]);
  });

  it('takes time', async () => {
    const { clock, world, driver } = setUp();
    world.faults.latencyMs = 250;
    let done = false;
    void driver.list().then(() => {
      done = true;
    });
    await clock.advance(249);
    expect(done).toBe(false);
    await clock.advance(1);
    expect(done).toBe(true);
  });

  it('reports a container as unknown, kills one, loses one', async () => {
    const { world, driver, agent } = await withContainer();
    const events: string[] = [];
    driver.watch(({ what }) => events.push(what), new AbortController().signal);
    const container = world.containers.get('a-b-1');
    if (container === undefined) throw new Error('no container');
    container.unreadable = 'the disk is slow';
    expect(await driver.list()).toMatchObject([{ status: 'unknown', reason: 'the disk is slow' }]);
    container.unreadable = null;
    world.killContainer('a-b-1');
    expect(await codeOf(agent.observe())).toBe('AGENT_UNAVAILABLE');
    expect(await driver.list()).toMatchObject([{ status: 'stopped' }]);
    world.loseContainer('a-b-1');
    expect(await driver.list()).toEqual([]);
    expect(events).toEqual(['died', 'removed']);
  });
});

describe('memory driver: bots in simulated time', () => {
  const slow = { startupSeconds: 60, watchdogSeconds: null, kind: 'notify' } as const;

  it('become ready when they do, and are tried again with growing pauses when they do not', async () => {
    const { clock, world, agent } = await withContainer();
    world.behaviours.set('never', { readyMs: null });
    world.behaviours.set('late', { readyMs: 30_000 });
    const backoff = { minSeconds: 4, maxSeconds: 16, healthySeconds: 60 };
    await agent.apply(botSpec('never', { slot: 0, port: 9000, readiness: slow, backoff }));
    await agent.apply(botSpec('late', { slot: 1, port: 9001, readiness: slow, backoff }));
    const states = async () => (await agent.observe()).bots.map(({ bot, state }) => `${bot} ${state}`);
    expect(await states()).toEqual(['never starting', 'late starting']);
    await clock.advance(30_000);
    expect(await states()).toEqual(['never starting', 'late running']);
    await clock.advance(30_001);
    const [never] = (await agent.observe()).bots;
    expect(never).toMatchObject({ state: 'backoff', reason: 'not ready 60 s after its start', restarts: 0 });
    expect((never?.nextStartAt ?? 0) - (never?.lastExit?.at ?? 0)).toBeCloseTo(3);
    await clock.advance(3_000 + 60_001);
    const [again] = (await agent.observe()).bots;
    expect((again?.nextStartAt ?? 0) - (again?.lastExit?.at ?? 0)).toBeCloseTo(6);
    expect(again?.restarts).toBe(1);
  });

  it('are killed after their grace when they ignore the signal', async () => {
    const { clock, world, agent } = await withContainer();
    world.behaviours.set('deaf', { stopMs: null });
    const spec = botSpec('deaf', { slot: 0, port: 9000, stop: { signal: 'SIGTERM', graceSeconds: 20 } });
    await agent.apply(spec);
    await clock.advance(10);
    await agent.apply({ ...spec, generation: 2, run: false });
    await clock.advance(19_999);
    expect((await agent.observe()).bots).toMatchObject([{ state: 'stopping' }]);
    await clock.advance(1);
    expect((await agent.observe()).bots).toMatchObject([
      { state: 'stopped', lastExit: { signal: 'SIGKILL', expected: true } },
    ]);
  });

  it('that end with code 0 are started again', async () => {
    const { clock, world, agent } = await withContainer();
    world.behaviours.set('quitter', { livesMs: 1_000, exitCode: 0 });
    await agent.apply(botSpec('quitter', { slot: 0, port: 9000 }));
    await clock.advance(1_010);
    expect((await agent.observe()).bots).toMatchObject([{ state: 'backoff', lastExit: { code: 0, expected: false } }]);
    await clock.advance(500);
    expect((await agent.observe()).bots).toMatchObject([{ restarts: 1 }]);
  });

  it('leave no timer behind when their container ends', async () => {
    const { clock, driver, agent } = await withContainer();
    await agent.apply(botSpec('ann', { slot: 0, port: 9000 }));
    void agent.wait((await agent.observe()).cursor, 60).catch(() => {});
    await settle();
    await driver.stop('a-b-1', 1);
    await settle();
    expect(clock.pending).toBe(0);
  });

  it('are cheap: a hundred containers of ten are observed in far less than a millisecond each', async () => {
    const { clock, driver } = setUp();
    const agents = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        await driver.create(specOf(record(`c-${index}`, 9000 + index * 10)));
        const agent = await driver.connect(`c-${index}`);
        for (let slot = 0; slot < 10; slot++) {
          await agent.apply(botSpec(`bot-${index}-${slot}`, { slot, port: 9000 + index * 10 + slot }));
        }
        return agent;
      }),
    );
    await clock.advance(5);
    const begun = performance.now();
    const observed = await Promise.all(agents.map((agent) => agent.observe()));
    expect(performance.now() - begun).toBeLessThan(100);
    expect(observed.flatMap(({ bots }) => bots).filter(({ state }) => state === 'running')).toHaveLength(1000);
  });
});
