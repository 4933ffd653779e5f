import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/domain/errors.ts';
import { type Act, killEverywhere } from './fuse.ts';
import { ADMIN, Machine, type System } from './system.ts';

/** What an operator does, in order. */
const STORY: readonly Act[] = [
  ...['a', 'b', 'c', 'd'].map((instanceId) => ({
    what: `create ${instanceId}`,
    act: (system: System) => system.api.createBot(ADMIN, { instanceId }).catch(unlessThere),
    done: (system: System) => system.states()[instanceId] === 'running',
  })),
  {
    what: 'stop a',
    act: (system) => system.api.setDesired(ADMIN, 'a', 'stopped'),
    done: (system) => system.states().a === 'stopped',
  },
  {
    what: 'delete b',
    act: (system) => system.api.deleteBot(ADMIN, 'b').catch(unlessGone),
    done: (system) => !('b' in system.states()),
  },
  {
    what: 'restart c',
    act: (system) => system.api.restartBot(ADMIN, 'c'),
    done: (system) => system.states().c === 'running',
  },
];

function unlessThere(error: unknown): void {
  if (!messageOf(error).includes('already')) throw error;
}

function unlessGone(error: unknown): void {
  if (!messageOf(error).includes('there is no bot')) throw error;
}

async function checkEnd(machine: Machine, system: System): Promise<void> {
  await system.until({ a: 'stopped', c: 'running', d: 'running' });
  const alive = [...machine.world.containers.values()].flatMap((container) =>
    ['a', 'b', 'c', 'd'].filter((bot) => container.bot(bot)?.alive === true),
  );
  expect(alive.sort()).toEqual(['c', 'd']);
  const placements = system.store.current().bots.records.map((bot) => bot.placement);
  expect(new Set(placements.map((placement) => placement?.port)).size).toBe(3);
  expect(machine.world.containers.size).toBe(2);
  const archives = (await readdir(join(machine.folder, 'archives'))).filter((name) => name.startsWith('b-'));
  expect(archives.length).toBeGreaterThanOrEqual(1);
}

describe('an orchestrator killed at any point', () => {
  it('loses and doubles nothing, and the next one goes on', async () => {
    const deaths = await killEverywhere(
      () => Machine.make(),
      () => STORY,
      checkEnd,
    );
    expect(deaths.length).toBeGreaterThan(40);
  }, 120_000);
});
