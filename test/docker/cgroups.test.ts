import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { BotObservation, BotSpec } from '../../lib/domain/agent.ts';
import type { ContainerLimits, ContainerRecord } from '../../lib/domain/container.ts';
import type { BotLimits } from '../../lib/domain/template.ts';
import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';
import type { Agent, Driver } from '../../lib/drivers/driver.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { noLimits } from '../contract/harness.ts';
import { botSpec } from '../support/bot-spec.ts';
import { type ContainerCgroup, cgroupOf, hostPid, missingForCgroups } from '../support/container-cgroup.ts';
import { type DockerHarness, dockerHarness, fixtureFile } from '../support/docker-harness.ts';
import { freePorts } from '../support/ports.ts';
import { waitFor } from '../support/wait-for.ts';
import { withDocker } from './with-docker.ts';

const MIB = 1 << 20;
const CAPACITY = 2;
/** Longer than a test lasts. */
const NEVER = 3_600;

interface Housed {
  readonly record: ContainerRecord;
  readonly agent: Agent;
  readonly cgroup: ContainerCgroup;
}

const missing = missingForCgroups();

withDocker('cgroups for the bots of a container, made from outside', () => {
  if (missing !== null) return it.skip(`needs ${missing}`, () => {});
  let harness: DockerHarness;
  let made = 0;
  const agents: Agent[] = [];
  beforeAll(async () => {
    harness = await dockerHarness();
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.close();
    for (const { name } of await harness.driver.list()) {
      await harness.driver.stop(name, 0);
      await harness.driver.remove(name);
    }
  });
  afterAll(async () => {
    await harness?.dispose();
  });

  const connect = async (name: string, driver: Driver = harness.driver): Promise<Agent> => {
    const agent = await driver.connect(name);
    agents.push(agent);
    return agent;
  };
  const running = async (limits: ContainerLimits = noLimits): Promise<Housed> => {
    made += 1;
    const record: ContainerRecord = {
      name: `${harness.installation}-${made}`,
      pool: 'fixture/default/local',
      capacity: CAPACITY,
      basePort: await freePorts(21_000, 21_999, CAPACITY + 1),
      generation: made,
      image: POOL_IMAGE,
      removing: false,
      soleBot: null,
      emptying: null,
      entered: true,
      createdAt: '2026-01-01T00:00:00.000Z',
    };
    await harness.driver.create({ record, limits });
    return { record, agent: await connect(record.name), cgroup: await cgroupOf(harness.engine, record.name) };
  };
  /** A fixture bot that counts as running once it lives. */
  const specIn = (
    { record }: Housed,
    slot: number,
    command: readonly [string, ...string[]],
    limits: Partial<BotLimits> = {},
  ): BotSpec => {
    const spec = botSpec(`bot-${slot}`, { slot, port: record.basePort + slot });
    return {
      ...spec,
      command: ['python3', ...command],
      files: [fixtureFile(command[0])],
      readiness: { kind: 'process', startupSeconds: 20, watchdogSeconds: null },
      limits: { ...spec.limits, ...limits },
    };
  };
  const observe = async (agent: Agent, slot: number): Promise<BotObservation | null> =>
    (await agent.observe()).bots.find((bot) => bot.slot === slot && bot.pid !== null) ?? null;
  /** The bot once it is in its cgroup, in all trees. Looking is what makes the driver put it there. */
  const confined = ({ agent, cgroup }: Housed, slot: number): Promise<{ bot: BotObservation; pid: number }> =>
    waitFor(`slot ${slot} is confined`, async () => {
      const bot = await observe(agent, slot);
      const pid = bot?.pid == null ? null : await hostPid(cgroup, bot.pid);
      if (bot === null || pid === null) return null;
      const places = await Promise.all((['memory', 'cpu', 'pids'] as const).map((name) => cgroup.pids(name, slot)));
      return places.every((pids) => pids.includes(pid)) && { bot, pid };
    });
  const start = async (housed: Housed, spec: BotSpec): Promise<{ bot: BotObservation; pid: number }> => {
    await housed.agent.apply(spec);
    return confined(housed, spec.slot);
  };
  const oomKills = async ({ cgroup }: Housed, slot: number): Promise<number> => {
    const text = await cgroup.read('memory', slot, cgroup.version === 1 ? 'memory.oom_control' : 'memory.events');
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1]);
  };
  const memoryLimit = ({ cgroup }: Housed, slot: number): Promise<string> =>
    cgroup.read('memory', slot, cgroup.version === 1 ? 'memory.limit_in_bytes' : 'memory.max');

  it('a bot that takes too much memory is killed by its own, and its neighbour feels nothing', async () => {
    const housed = await running();
    const neighbour = await start(housed, specIn(housed, 1, ['hang.py']));
    const limits = { pssBytes: 64 * MIB };
    const hog = await start(housed, specIn(housed, 0, ['memory-hog.py', '--after', '1', '--step', '300'], limits));
    expect(await memoryLimit(housed, 0)).toBe(String(80 * MIB));
    await waitFor('the kill', async () => (await oomKills(housed, 0)) > 0, 20_000);
    const after = await waitFor('its end is noticed', async () => {
      const bots = (await housed.agent.observe()).bots;
      return bots.find(({ slot, restarts }) => slot === 0 && restarts > 0) ?? null;
    });
    expect(after.lastExit).toMatchObject({ signal: 'SIGKILL', expected: false });
    expect(after.pid).not.toBe(hog.bot.pid);
    expect(await observe(housed.agent, 1)).toMatchObject({ pid: neighbour.bot.pid, restarts: 0 });
    expect(await oomKills(housed, 1)).toBe(0);
  });

  it('CPU is shared by weight', async () => {
    const housed = await running();
    // On one processor, so that they meet whatever else the machine does.
    await harness.engine.getContainer(housed.record.name).update({ CpusetCpus: '0' });
    await start(housed, specIn(housed, 0, ['burner.py', '--processes', '2'], { cpuWeight: 10 }));
    await start(housed, specIn(housed, 1, ['burner.py', '--processes', '2'], { cpuWeight: 100 }));
    await waitFor('all burn', async () => (await housed.cgroup.pids('cpu', 1)).length === 2);
    const ticks = async (slot: number): Promise<number> => {
      const all = (await housed.cgroup.pids('cpu', slot)).map(cpuTicks);
      return (await Promise.all(all)).reduce((sum, one) => sum + one, 0);
    };
    const before = [await ticks(0), await ticks(1)] as const;
    await systemClock.sleep(4_000);
    const used = [(await ticks(0)) - before[0], (await ticks(1)) - before[1]] as const;
    const share = used[0] / (used[0] + used[1]);
    process.stderr.write(`CPU of weight 10 beside weight 100: ${(100 * share).toFixed(1)} % (10 of 110 are 9.1 %)\n`);
    expect(share).toBeGreaterThan(0.02);
    expect(share).toBeLessThan(0.2);
  });

  it('a limit of processes holds a bot that runs already, without a restart', async () => {
    const housed = await running();
    const spec = specIn(housed, 0, ['breeder.py', '--most', '60']);
    const { bot } = await start(housed, spec);
    await housed.agent.apply({ ...spec, generation: 2, limits: { ...spec.limits, processes: 20 } });
    await waitFor('the limit is written', async () => {
      await housed.agent.observe();
      return (await housed.cgroup.read('pids', 0, 'pids.max')) === '20';
    });
    await waitFor('a fork is refused', async () =>
      /max [1-9]/.test(await housed.cgroup.read('pids', 0, 'pids.events')),
    );
    expect(Number(await housed.cgroup.read('pids', 0, 'pids.current'))).toBe(20);
    expect(await observe(housed.agent, 0)).toMatchObject({ pid: bot.pid, restarts: 0 });
  });

  it('finds what was forked before, also what left its parent and session', async () => {
    const housed = await running();
    const spec = specIn(housed, 0, ['orphan.py', '--new-session', '--after', String(NEVER)]);
    await housed.agent.apply(spec);
    const uid = await waitFor('parent and child live', async () => {
      const pids = await harness.python(housed.record.name, COUNT_OF_UID(spec.port));
      return pids?.trim() === '2';
    });
    expect(uid).toBe(true);
    await confined(housed, 0);
    await waitFor('both are in', async () => (await housed.cgroup.pids('memory', 0)).length === 2);
  });

  it('is done again for a bot that was restarted inside, and by a supervisor that was', async () => {
    const housed = await running();
    const limits = { pssBytes: 64 * MIB, cpuWeight: 50, processes: 30 };
    const { bot } = await start(housed, specIn(housed, 0, ['hang.py'], limits));
    await harness.kill(housed.record.name, bot);
    const second = await waitFor('it is confined again', async () => {
      const now = await confined(housed, 0);
      return now.bot.pid === bot.pid ? null : now;
    });
    expect(second.bot.restarts).toBe(1);

    // What happened while no supervisor looked.
    await housed.cgroup.write('pids', 0, 'pids.max', 'max');
    await harness.kill(housed.record.name, second.bot);
    const reborn = await connect(housed.record.name, harness.open('same'));
    await waitFor('the limits are written', async () => {
      await reborn.observe();
      return (await housed.cgroup.read('pids', 0, 'pids.max')) === '30';
    });
    expect(await memoryLimit(housed, 0)).toBe(String(80 * MIB));
    expect(await confined({ ...housed, agent: reborn }, 0)).toMatchObject({ bot: { restarts: 2 } });
    await waitFor('it says so', async () => (await reborn.observe()).cgroups.made);
  });

  it('leaves the container its own limits, which hold all its bots together', async () => {
    const housed = await running({ memoryBytes: 128 * MIB, cpus: null, processes: 40 });
    await start(housed, specIn(housed, 0, ['memory-hog.py', '--after', '1', '--step', '300']));
    await waitFor('the kill', async () => (await oomKills(housed, 0)) > 0, 20_000);
    await start(housed, specIn(housed, 1, ['breeder.py', '--most', '60']));
    const current = async (): Promise<string> => readFile(`${housed.cgroup.folder('pids')}/pids.current`, 'utf8');
    await waitFor('a fork is refused', async () => Number(await current()) === 40);
    expect((await housed.agent.observe()).bots).toHaveLength(2);
  });

  it('goes with the container', async () => {
    const housed = await running();
    await start(housed, specIn(housed, 0, ['hang.py']));
    const folders = (['memory', 'cpu', 'pids'] as const).map((name) => housed.cgroup.folder(name));
    expect(folders.map((folder) => existsSync(`${folder}/slot-0`))).toEqual([true, true, true]);
    await harness.driver.stop(housed.record.name, 1);
    await waitFor('the cgroups are gone', () => folders.every((folder) => !existsSync(folder)));
    await harness.driver.start(housed.record.name);
    expect(await (await connect(housed.record.name)).observe()).toMatchObject({ bots: [] });
  });
});

/** User and system time of a process on the host, in clock ticks. */
async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

const COUNT_OF_UID = (port: number): string => `
import os
print(sum(pid.isdigit() and os.stat('/proc/' + pid).st_uid == ${1_000_000 + port} for pid in os.listdir('/proc')))`;
