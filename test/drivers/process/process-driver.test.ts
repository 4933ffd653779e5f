import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ContainerRecord } from '../../../lib/domain/container.ts';
import type { Agent } from '../../../lib/drivers/driver.ts';
import { ProcessDriver } from '../../../lib/drivers/process/process-driver.ts';
import { readProcesses } from '../../../lib/drivers/process/procfs.ts';
import { systemClock as clock } from '../../../lib/util/clock.ts';
import { codeOf, readBot, specOf } from '../../contract/harness.ts';
import { serviceUse } from '../../support/bot-spec.ts';
import { missingForProcesses, type ProcessHarness, processHarness, UID_BASE } from '../../support/process-harness.ts';
import { isAlive } from '../../support/processes.ts';
import { waitFor } from '../../support/wait-for.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const isRoot = process.getuid?.() === 0;

describe.skipIf(missingForProcesses() !== null)('process driver', () => {
  let harness: ProcessHarness;
  let driver: ProcessDriver;
  let record: ContainerRecord;
  let made = 0;
  const agents: Agent[] = [];

  beforeAll(async () => {
    harness = await processHarness();
    driver = harness.driver;
  });
  afterAll(() => harness?.dispose());
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.close()));
    for (const { name, status } of await driver.list()) {
      if (status === 'unknown') continue;
      await driver.stop(name, 0);
      await driver.remove(name);
    }
  });

  const create = async (): Promise<Agent> => {
    made += 1;
    record = {
      name: `test-${made}`,
      pool: 'a/b/c',
      capacity: 2,
      basePort: harness.basePort + 2 * made,
      generation: 1,
      image: null,
      removing: false,
      soleBot: null,
      emptying: null,
      entered: true,
      createdAt: '',
    };
    await driver.create(specOf(record));
    return connect();
  };
  const connect = async (): Promise<Agent> => {
    const agent = await driver.connect(record.name);
    agents.push(agent);
    return agent;
  };
  const path = (...parts: string[]): string => join(harness.options.dataDir, 'containers', record.name, ...parts);
  const supervisordPid = async (): Promise<number> => Number(await readFile(path('supervisord.pid'), 'utf8'));
  const status = async (): Promise<string | undefined> =>
    (await driver.list()).find(({ name }) => name === record.name)?.status;
  const spec = (bot: string, slot = 0) => harness.fixtureSpec(bot, { slot, port: record.basePort + slot });

  it('reports what was killed as stopped, tells of it, and rebuilds it over what is left', async () => {
    const agent = await create();
    await agent.apply(spec('bot'));
    const bot = await waitFor('bot runs', () => readBot(agent, 'bot', 'running'));
    const died = new Promise((tell) => driver.watch(tell, AbortSignal.timeout(30_000)));
    process.kill(await supervisordPid(), 'SIGKILL');
    expect(await died).toEqual({ container: record.name, what: 'died' });
    await waitFor('the container is proven stopped', async () => (await status()) === 'stopped');
    expect(isAlive(bot.pid ?? 0)).toBe(false);
    expect(await codeOf(driver.connect(record.name))).toBe('AGENT_UNAVAILABLE');
    await driver.start(record.name);
    expect(await (await connect()).observe()).toMatchObject({ bots: [], directories: ['bot'] });
  });

  it('ends what a shared service leaves when its supervisord is killed', async () => {
    const agent = await create();
    const { directory } = await agent.observe();
    const service = harness.fixtureService('store', directory);
    const services = [serviceUse({ ...service, command: [...service.command, '--child'] })];
    await agent.apply({ ...spec('bot'), services });
    await waitFor('bot runs', () => readBot(agent, 'bot', 'running'));
    const { pid } = (await agent.observe()).services[0] ?? {};
    const left = (await readProcesses()).filter(({ environment }) =>
      environment.some((entry) => entry === `BUNKHOUSE_SERVICE_DIR=${directory}/services/store`),
    );
    expect(left.length).toBe(2);
    process.kill(await supervisordPid(), 'SIGKILL');
    await waitFor('the container is proven stopped', async () => (await status()) === 'stopped');
    expect(left.filter((found) => isAlive(found.pid))).toEqual([]);
    expect(left.map((found) => found.pid)).toContain(pid);
  });

  it('ends bots that outlive their supervisord, and says unknown until they are gone', async () => {
    const agent = await create();
    const command = harness.fixture('orphan.py', '--new-session');
    await agent.apply({
      ...spec('bot'),
      command,
      readiness: { kind: 'process', startupSeconds: 10, watchdogSeconds: null },
    });
    const orphan = await waitFor('its child', async () => Number(await readFile(path('bots/bot/child.pid'), 'utf8')));
    process.kill(await supervisordPid(), 'SIGKILL');
    const seen = new Set<string>();
    await waitFor('the container is proven stopped', async () => {
      const now = await status();
      seen.add(`${now}, child ${isAlive(orphan) ? 'alive' : 'dead'}`);
      return now === 'stopped';
    });
    expect(seen).toContain('unknown, child alive');
    expect(seen).not.toContain('stopped, child alive');
  });

  it.skipIf(!isRoot)('gives supervisord and its bots no precedence that is ours', async () => {
    const before = getPriority();
    setPriority(-5);
    try {
      const agent = await create();
      await agent.apply(spec('bot'));
      const { pid } = await waitFor('bot runs', () => readBot(agent, 'bot', 'running'));
      expect([getPriority(await supervisordPid()), getPriority(pid ?? 0)]).toEqual([0, 0]);
    } finally {
      setPriority(before);
    }
  });

  it('is not misled by a pid file whose number belongs to another process now', async () => {
    await create();
    await driver.stop(record.name, 1);
    await writeFile(path('supervisord.pid'), `${process.pid}\n`);
    expect(await status()).toBe('stopped');
    await driver.stop(record.name, 1);
    await driver.start(record.name);
    expect(await status()).toBe('running');
  });

  it('finds a running supervisord whose pid file is lost', async () => {
    await create();
    const pid = await supervisordPid();
    await rm(path('supervisord.pid'));
    expect(await status()).toBe('running');
    await driver.stop(record.name, 5);
    expect(isAlive(pid)).toBe(false);
  });

  it('takes neither an editor nor supervisorctl of that configuration for a process of it', async () => {
    await create();
    const looking = spawn('tail', ['-f', '-c', '+1', path('supervisord.conf')], { stdio: 'ignore' });
    try {
      await driver.stop(record.name, 1);
      expect(await status()).toBe('stopped');
      expect(isAlive(looking.pid ?? 0)).toBe(true);
    } finally {
      looking.kill('SIGKILL');
    }
  });

  it.each([
    ['damaged', '{"labels":'],
    ['of another container', JSON.stringify({ labels: { 'bunkhouse.schema': '1', 'bunkhouse.container': 'x' } })],
    ['of a newer version', JSON.stringify({ labels: { 'bunkhouse.schema': '2' } })],
    ['missing', null],
  ])('reports a container whose labels are %s as unknown, and touches nothing of it', async (_, text) => {
    await create();
    const pid = await supervisordPid();
    const whole = await readFile(path('container.json'));
    if (text === null) await rm(path('container.json'));
    else await writeFile(path('container.json'), text);
    const found = (await driver.list()).find(({ name }) => name === record.name);
    expect(found).toMatchObject({ status: 'unknown', reason: expect.stringContaining('container.json') });
    expect(await codeOf(driver.remove(record.name))).toBe('CONFLICT');
    expect(await codeOf(driver.stop(record.name, 0))).toBe('CONFLICT');
    expect(await codeOf(driver.create(specOf(record)))).toBe('CONFLICT');
    expect(isAlive(pid)).toBe(true);
    await writeFile(path('container.json'), whole);
    expect(await status()).toBe('running');
  });

  it('takes a creation that was broken off before its labels were written for absent', async () => {
    await create();
    await driver.stop(record.name, 1);
    await driver.remove(record.name);
    await mkdir(path());
    await writeFile(path('container.json.tmp-0123456789ab'), '{');
    expect(await status()).toBeUndefined();
    await driver.create(specOf(record));
    expect(await status()).toBe('running');
  });

  it('goes on removing what a removal that was broken off has left', async () => {
    await create();
    await driver.stop(record.name, 1);
    for (const name of ['supervisord.conf', 'bots', 'fences.json'])
      await rm(path(name), { recursive: true, force: true });
    expect(await status()).toBe('stopped');
    await driver.remove(record.name);
    expect(await status()).toBeUndefined();
  });

  it('keeps its files to itself', async () => {
    const agent = await create();
    await agent.apply(spec('bot'));
    for (const name of [
      'supervisord.conf',
      'supervisor.sock',
      'container.json',
      'supervisord.out',
      'supervisord.log',
    ]) {
      expect([name, (await stat(path(name))).mode & 0o777]).toEqual([name, 0o600]);
    }
    expect((await stat(path())).mode & 0o066).toBe(0);
  });

  it('passes nothing of its own environment on', async () => {
    vi.stubEnv('ADMIN_TOKEN', 'not-for-bots');
    try {
      await create();
      const environment = (await readFile(`/proc/${await supervisordPid()}/environ`, 'utf8'))
        .split('\0')
        .filter(Boolean);
      expect(environment.map((entry) => entry.split('=')[0]).sort()).toEqual(
        ['LANG', 'PATH', 'PYTHONNOUSERSITE', 'PYTHONPATH'].sort(),
      );
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it.runIf(isRoot)('runs each bot under a user of its own', async () => {
    const agent = await create();
    await Promise.all([agent.apply(spec('ann', 0)), agent.apply(spec('bob', 1))]);
    for (const [name, slot] of [
      ['ann', 0],
      ['bob', 1],
    ] as const) {
      const bot = await waitFor(`${name} runs`, () => readBot(agent, name, 'running'));
      expect((await stat(`/proc/${bot.pid}`)).uid).toBe(UID_BASE + record.basePort + slot);
      expect((await stat(path('bots', name))).mode & 0o777).toBe(0o700);
    }
    expect((await driver.capabilities()).isolatesUsers).toBe(true);
  });

  it('says what supervisord said when it does not come up, and leaves nothing behind', async () => {
    await create();
    const broken = new ProcessDriver({ ...harness.options, clock, pluginDir: harness.root });
    const other = { ...record, name: 'broken', basePort: record.basePort + 100 };
    const error = await broken.create(specOf(other)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'AGENT_UNAVAILABLE', message: expect.stringContaining('bunkhouse_plugin') });
    expect((await driver.list()).map(({ name }) => name)).toEqual([record.name]);
    await expect(stat(join(harness.options.dataDir, 'containers/broken'))).rejects.toThrow('ENOENT');
  });

  it('keeps the data of a container that does not come up any more', async () => {
    const agent = await create();
    await agent.apply({ ...spec('bot'), run: false });
    await driver.stop(record.name, 1);
    const broken = new ProcessDriver({ ...harness.options, clock, pluginDir: harness.root });
    expect(await codeOf(broken.create(specOf(record)))).toBe('AGENT_UNAVAILABLE');
    expect(await codeOf(broken.start(record.name))).toBe('AGENT_UNAVAILABLE');
    await driver.start(record.name);
    expect((await (await connect()).observe()).directories).toEqual(['bot']);
  });

  it('rebuilds a container although a stranger holds one of its ports, for the sake of its other bots', async () => {
    await create();
    await driver.stop(record.name, 1);
    const release = await harness.occupy(record.basePort + 1);
    try {
      await driver.create(specOf(record));
      expect(await status()).toBe('running');
      expect(await driver.portsInUse(record.basePort, 2)).toEqual([]);
    } finally {
      await release();
    }
  });

  it('refuses another range or pool for a container that runs', async () => {
    await create();
    expect(await codeOf(driver.create(specOf({ ...record, basePort: record.basePort + 50 })))).toBe('CONFLICT');
    expect(await codeOf(driver.create(specOf({ ...record, pool: 'x/y/z' })))).toBe('CONFLICT');
  });

  it('refuses names that are none, and paths too long for sockets', async () => {
    await create();
    for (const name of ['../evil', 'Upper', '']) {
      expect(await codeOf(driver.create(specOf({ ...record, name })))).toBe('INVALID');
    }
    const error = await driver.create(specOf({ ...record, name: 'a'.repeat(100) })).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID', message: expect.stringContaining('DATA_DIR') });
  });

  it('lets containers live on when the orchestrator is killed, and the next one adopts them', async () => {
    await create();
    const orphaned = { ...record, name: 'adopted', basePort: record.basePort + 100 };
    const orchestrator = await startOrchestrator(harness, orphaned);
    process.kill(-(orchestrator.pid ?? 0), 'SIGKILL');
    await once(orchestrator, 'exit');
    record = orphaned;
    const pid = await supervisordPid();
    expect(isAlive(pid)).toBe(true);
    expect(await status()).toBe('running');
    expect((await (await connect()).observe()).bots).toEqual([]);

    const died = new Promise((tell) => driver.watch(tell, AbortSignal.timeout(30_000)));
    process.kill(pid, 'SIGKILL');
    expect(await died).toEqual({ container: 'adopted', what: 'died' });
    expect(await status()).toBe('stopped');
  });
});

/** A process group of its own, as one at a terminal has. */
async function startOrchestrator(harness: ProcessHarness, record: ContainerRecord): Promise<ChildProcess> {
  const program = resolve(import.meta.dirname, '../../support/orchestrator.ts');
  const argument = JSON.stringify({ options: harness.options, record });
  const child = spawn(process.execPath, [program, argument], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}
