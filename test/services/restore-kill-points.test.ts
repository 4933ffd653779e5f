import { describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/domain/errors.ts';
import { type Act, killEverywhere } from './fuse.ts';
import { ADMIN, Machine, type System } from './system.ts';

const text = (content: string): string => Buffer.from(content).toString('base64');

function write(machine: Machine, bot: string, trades: string): void {
  for (const container of machine.world.containers.values()) container.write(bot, 'trades', trades);
}

function tradesOf(machine: Machine, bot: string): (string | null)[] {
  return [...machine.world.containers.values()]
    .filter((container) => container.filesOf(bot).length > 0)
    .map((container) => container.fileOf(bot, 'trades'));
}

/** The oldest good backup of `a`, which is the one with the trades to go back to. */
async function firstBackup(system: System): Promise<string> {
  const { backups } = await system.backups.list(ADMIN, { bot: 'a', kind: 'asked' });
  const [first] = backups;
  if (first === undefined) throw new Error('there is no backup');
  return first.id;
}

const unless =
  (...expected: string[]) =>
  (error: unknown): void => {
    if (!expected.some((part) => messageOf(error).includes(part))) throw error;
  };

/** Backed up, traded on, restored in place, and once more as a new bot. */
function story(machine: Machine): readonly Act[] {
  let backed = false;
  let replaced = false;
  const settled = (system: System, bot: string): boolean => system.store.current().bots.get(bot)?.restore === null;
  return [
    {
      what: 'create a',
      act: (system) =>
        system.api.createBot(ADMIN, { instanceId: 'a', files: { config: text('old') } }).catch(unless('already')),
      done: (system) => system.states().a === 'running',
    },
    {
      what: 'back a up',
      act: async (system) => {
        write(machine, 'a', 'one');
        await system.backups.backup(ADMIN, 'a');
        backed = true;
      },
      done: () => backed,
    },
    {
      what: 'restore a',
      act: async (system) => {
        if (!replaced) write(machine, 'a', 'two');
        replaced = true;
        await system.backups.restore(ADMIN, await firstBackup(system), {});
      },
      done: (system) => settled(system, 'a') && system.states().a === 'running',
    },
    {
      what: 'restore as b',
      act: async (system) =>
        system.backups.restore(ADMIN, await firstBackup(system), { as: 'b' }).then(() => {}, unless('already')),
      done: (system) => settled(system, 'b') && system.states().b === 'stopped',
    },
  ];
}

async function check(machine: Machine, system: System): Promise<void> {
  await system.until({ a: 'running', b: 'stopped' });
  expect(tradesOf(machine, 'a')).toEqual(['one']);
  expect(tradesOf(machine, 'b')).toEqual(['one']);
  const alive = [...machine.world.containers.values()].filter((container) => container.bot('a')?.alive === true);
  expect(alive).toHaveLength(1);
  const kept = (await system.backups.list(ADMIN, { kind: 'before-restore' })).backups;
  expect(kept.length, 'what was replaced is kept').toBeGreaterThanOrEqual(1);
  for (const { id } of kept) expect((await system.backups.get(ADMIN, id)).good).toBe(true);
}

describe('an orchestrator killed at any point of a backup or a restore', () => {
  it('goes on or goes back, loses nothing and doubles nobody', async () => {
    const deaths = await killEverywhere(() => Machine.make(), story, check);
    expect(deaths.length).toBeGreaterThan(40);
  }, 240_000);
});
