import { describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/domain/errors.ts';
import { type Act, killEverywhere, tableOf } from './fuse.ts';
import { ADMIN, Machine, quickTemplate, type System } from './system.ts';

const BOTS = ['a', 'b'];

const unless =
  (...expected: string[]) =>
  (error: unknown): void => {
    if (!expected.some((part) => messageOf(error).includes(part))) throw error;
  };

/** Two bots of one container, upgraded one after the other. */
function story(machine: Machine): readonly Act[] {
  const created = BOTS.map(
    (instanceId): Act => ({
      what: `create ${instanceId}`,
      act: (system) => system.api.createBot(ADMIN, { instanceId }).catch(unless('already')),
      done: (system) => {
        if (system.states()[instanceId] !== 'running') return false;
        const container = system.store.current().bots.get(instanceId)?.placement?.container ?? '';
        machine.world.containers.get(container)?.write(instanceId, 'trades', `of ${instanceId}`);
        return true;
      },
    }),
  );
  const order = { template: 'echo', image: 'two', spacingSeconds: 0, surge: 1 };
  return [
    ...created,
    {
      what: 'upgrade',
      act: async (system) => {
        if (system.upgrades.list().length === 0) await system.upgrades.start(order);
      },
      done: (system) => system.upgrades.list()[0]?.status === 'done' && isSettled(system),
    },
  ];
}

/** Nobody is on the way, and containers that are to go are gone. */
function isSettled(system: System): boolean {
  const { bots, containers } = system.store.current();
  const isGoing = Object.values(containers).some(({ emptying, removing }) => removing || emptying?.why === 'upgrade');
  return !isGoing && bots.records.every(({ move }) => move === null);
}

async function check(machine: Machine, system: System): Promise<void> {
  await system.until(Object.fromEntries(BOTS.map((bot) => [bot, 'running'])));
  const containers = [...machine.world.containers.values()];
  for (const bot of BOTS) {
    expect(containers.filter((container) => container.bot(bot)?.alive === true).length, `${bot} once`).toBe(1);
    const data = containers.filter((container) => container.filesOf(bot).length > 0);
    expect(
      data.map((container) => container.fileOf(bot, 'trades')),
      `data of ${bot}`,
    ).toEqual([`of ${bot}`]);
  }
  const [upgrade] = system.upgrades.list();
  expect(upgrade).toMatchObject({ status: 'done', moved: BOTS.length, failures: [] });
  const images = Object.values(system.store.current().containers).map(({ image }) => image);
  expect(new Set(images)).toEqual(new Set(['two']));
}

describe('an orchestrator killed at any point of an upgrade', () => {
  it('goes on, loses nothing and doubles nobody', async () => {
    const template = quickTemplate({ image: 'one', move: { deadlineSeconds: 20, headers: {}, facts: {} } });
    const deaths = await killEverywhere(() => Machine.make([template]), story, check);
    expect(deaths.length).toBeGreaterThan(40);
    process.stdout.write(`${tableOf(deaths)}\n`);
  }, 600_000);
});
