import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BotObservation, BotSpec } from '../../lib/domain/agent.ts';
import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';
import type { Agent } from '../../lib/drivers/driver.ts';
import { botSpec } from '../support/bot-spec.ts';
import { type DockerHarness, dockerHarness, fixtureFile } from '../support/docker-harness.ts';
import { freePorts } from '../support/ports.ts';
import { waitFor } from '../support/wait-for.ts';
import { withDocker } from './with-docker.ts';

const MEMORY_BYTES = 200 << 20;
const CAPACITY = 4;

withDocker('a container that runs out of memory', () => {
  let harness: DockerHarness;
  let agent: Agent;
  beforeAll(async () => {
    harness = await dockerHarness();
  });
  afterAll(async () => {
    await agent?.close();
    await harness?.dispose();
  });

  it('loses its fattest bot, over and over, and never another one or supervisord', async () => {
    const record = {
      name: `${harness.installation}-memory`,
      pool: 'fixture/default/local',
      capacity: CAPACITY,
      basePort: await freePorts(22_000, 22_999, CAPACITY + 1),
      generation: 1,
      image: POOL_IMAGE,
      removing: false,
      soleBot: null,
      emptying: null,
      entered: true,
      createdAt: '2026-01-01T00:00:00.000Z',
    };
    await harness.driver.create({ record, limits: { memoryBytes: MEMORY_BYTES, cpus: null, processes: null } });
    agent = await harness.driver.connect(record.name);
    const hog = (bot: string, slot: number, ...options: string[]): BotSpec => ({
      ...botSpec(bot, { slot, port: record.basePort + slot }),
      command: ['python3', 'memory-hog.py', ...options],
      files: [fixtureFile('memory-hog.py')],
      readiness: { kind: 'process', startupSeconds: 20, watchdogSeconds: null },
    });
    const names = ['lean-0', 'lean-1', 'lean-2'];
    for (const [slot, name] of names.entries()) await agent.apply(hog(name, slot, '--reach', '20'));
    const lean = await waitFor('all lean bots run', () => runningOf(agent, names));
    const { incarnation } = await agent.observe();

    await agent.apply(hog('fat', 3, '--step', '4', '--every', '0.05'));
    const fat = await waitFor(
      'the fat one was killed twice',
      async () => (await agent.observe()).bots.find(({ bot, restarts }) => bot === 'fat' && restarts >= 2),
      60_000,
    );

    expect(fat.lastExit).toMatchObject({ signal: 'SIGKILL', expected: false });
    expect(await runningOf(agent, names)).toEqual(lean);
    expect((await agent.observe()).incarnation).toBe(incarnation);
  });
});

/** What tells a run of a bot from the next; null while one of them does not run. */
async function runningOf(agent: Agent, names: readonly string[]): Promise<readonly Run[] | null> {
  const { bots } = await agent.observe();
  const running = bots.filter(({ bot, state }) => names.includes(bot) && state === 'running');
  return running.length === names.length ? running.map(({ bot, pid, restarts }) => ({ bot, pid, restarts })) : null;
}

type Run = Pick<BotObservation, 'bot' | 'pid' | 'restarts'>;
