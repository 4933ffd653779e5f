import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentObservation, BotObservation } from '../../../../lib/domain/agent.ts';
import { Confiner, type ConfinerSources, withCgroups } from '../../../../lib/drivers/docker/cgroups/confiner.ts';
import type { Agent } from '../../../../lib/drivers/driver.ts';
import { aBot, anAgent, observedBot } from '../../../planner/builders.ts';
import { type CgroupSandbox, cgroupSandbox, usableTrees } from '../../../support/cgroup-sandbox.ts';

const [machine] = usableTrees();
const INSIDE = { made: false, reason: 'read-only inside' };
const MADE = { made: true, reason: '' };

describe.skipIf(machine !== undefined)('keeping bots confined', () => {
  it.skip('needs root and cgroups that can be written', () => {});
});

describe.runIf(machine !== undefined)('keeping bots confined', () => {
  const { trees } = machine as NonNullable<typeof machine>;
  let sandbox: CgroupSandbox;
  let told: string[];
  beforeEach(async () => {
    sandbox = await cgroupSandbox(trees);
    told = [];
  });
  afterEach(() => sandbox.dispose());

  const confiner = (different: Partial<ConfinerSources> = {}): Confiner =>
    new Confiner({
      housing: async () => ({ id: sandbox.id, pid: sandbox.pid }),
      trees: async () => ({ kind: 'trees', trees }),
      uidOf: (port) => 1_000_000 + port,
      onFailure: (reason) => told.push(reason),
      ...different,
    });
  const seen = (pid: number | null, change: Partial<BotObservation> = {}): AgentObservation => ({
    ...anAgent([observedBot(aBot('one'), { slot: 0, port: 21_900, pid, ...change })]),
    cgroups: INSIDE,
  });
  const inPlace = async (pid: number): Promise<boolean> =>
    (await sandbox.places(pid)).every((place) => place === 'slot-0');

  it('is done beside the observation, which then tells of it', async () => {
    const pid = await sandbox.run('sleep', ['600']);
    const keeper = confiner();
    expect(keeper.consider(seen(pid))).toEqual(seen(pid));
    expect(await inPlace(pid)).toBe(false);
    await keeper.idle();
    expect(await inPlace(pid)).toBe(true);
    expect(keeper.consider(seen(pid))).toEqual({ ...seen(pid), cgroups: MADE });
    expect(told).toEqual([]);
  });

  it('is left to the container where that does it', async () => {
    const pid = await sandbox.run('sleep', ['600']);
    const keeper = confiner();
    expect(keeper.consider({ ...seen(pid), cgroups: MADE })).toEqual({ ...seen(pid), cgroups: MADE });
    await keeper.idle();
    expect(await inPlace(pid)).toBe(false);
  });

  it('is not done again until a process or its limits change', async () => {
    let asked = 0;
    const housing = async () => {
      asked += 1;
      return { id: sandbox.id, pid: sandbox.pid };
    };
    const keeper = confiner({ housing });
    const look = async (observation: AgentObservation): Promise<number> => {
      keeper.consider(observation);
      await keeper.idle();
      return asked;
    };
    const pid = await sandbox.run('sleep', ['600']);
    expect(await look(seen(null))).toBe(0);
    expect(await look(seen(pid))).toBe(1);
    expect(await look(seen(pid, { state: 'stopping', restarts: 3 }))).toBe(1);
    expect(await look(seen(pid, { limits: { ...aLimit, processes: 9 } }))).toBe(2);
    expect(await look(seen(await sandbox.run('sleep', ['600']), { limits: { ...aLimit, processes: 9 } }))).toBe(3);
  });

  it('that fails is told, tried again at the next observation, and then made good', async () => {
    const pid = await sandbox.run('sleep', ['600']);
    let id = '0'.repeat(64);
    const keeper = confiner({ housing: async () => ({ id, pid: sandbox.pid }) });
    keeper.consider(seen(pid));
    await keeper.idle();
    expect(told).toEqual([expect.stringContaining('its cgroup is not found')]);
    expect(keeper.consider(seen(pid)).cgroups).toEqual({ made: false, reason: told[0] });
    await keeper.idle();
    id = sandbox.id;
    keeper.consider(seen(pid));
    await keeper.idle();
    expect(keeper.consider(seen(pid)).cgroups).toEqual(MADE);
  });

  it('says why it cannot be done here', async () => {
    const keeper = confiner({ trees: async () => ({ kind: 'none', reason: 'the supervisor is not root' }) });
    keeper.consider(seen(sandbox.pid));
    await keeper.idle();
    expect(keeper.consider(seen(null)).cgroups).toEqual({ made: false, reason: 'the supervisor is not root' });
  });

  it.each<{ what: string; housings: readonly unknown[] }>([
    { what: 'has stopped already', housings: [null] },
    { what: 'stops meanwhile', housings: [{ id: '0'.repeat(64), pid: 2 ** 30 }, null] },
    {
      what: 'is started anew meanwhile',
      housings: [
        { id: '0'.repeat(64), pid: 2 ** 30 },
        { id: '0'.repeat(64), pid: 9 },
      ],
    },
  ])('is no failure for a container that $what', async ({ housings }) => {
    const answers = [...housings];
    const keeper = confiner({ housing: (async () => answers.shift()) as ConfinerSources['housing'] });
    keeper.consider(seen(sandbox.pid));
    await keeper.idle();
    expect(answers).toEqual([]);
    expect(told).toEqual([]);
  });

  it('takes a process for missing only when it is still told of later', async () => {
    const keeper = confiner();
    keeper.consider(seen(2 ** 30));
    await keeper.idle();
    expect(told).toEqual([]);
    keeper.consider(seen(2 ** 30));
    await keeper.idle();
    expect(told).toEqual([expect.stringContaining('not found in its cgroup')]);
  });

  it('never delays or fails an observation', async () => {
    const never = new Promise<never>(() => {});
    const agent = { observe: async () => seen(sandbox.pid) } as Agent;
    expect(await withCgroups(agent, confiner({ housing: () => never })).observe()).toEqual(seen(sandbox.pid));
    const failing = confiner({ housing: () => Promise.reject(new Error('no engine')) });
    expect(await withCgroups(agent, failing).observe()).toEqual(seen(sandbox.pid));
    await failing.idle();
  });
});

const aLimit = observedBot(aBot('one')).limits;
