import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/domain/errors.ts';
import type { MigrationPhase } from '../../lib/domain/migration.ts';
import { openValkeyStore } from '../../lib/store/valkey/valkey-store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { startValkey, VALKEY } from '../support/valkey-server.ts';
import { type Act, type Death, killEverywhere } from './fuse.ts';
import { addOld, isAlive, legacyTemplate, type Trade, trade, tradesOfBot, tradesOfOld } from './legacy.ts';
import { Machine, type OpenStore, type System } from './system.ts';

const TRADES: readonly Trade[] = [
  [1, false],
  [2, true],
];
const MORE: readonly Trade[] = [...TRADES, [3, true]];

/** Looks at every call to the machine whether two of one bot live. */
class Watched {
  readonly doubled: string[] = [];
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
    machine.world.faults.hook = ({ method, target, when }) => {
      for (const [id, box] of machine.world.foreign) {
        const bot = id.replace('id-of-', '');
        if (box.alive && isAlive(machine.world, bot)) this.doubled.push(`${bot} ${when} ${method} of ${target}`);
      }
    };
  }

  old(id: string) {
    const box = this.machine.world.foreign.get(`id-of-${id}`);
    if (box === undefined) throw new Error(`the old ${id} is gone`);
    return box;
  }
}

const unless =
  (...expected: string[]) =>
  (error: unknown): void => {
    if (!expected.some((part) => messageOf(error).includes(part))) throw error;
  };

const phaseOf = (system: System, id: string): MigrationPhase | undefined =>
  system.store.current().migrations.get(id)?.phase;

/** a lives and comes back with what it did, b is stopped and stays. */
async function twoOld(openStore?: OpenStore): Promise<Machine> {
  const machine = await Machine.make([legacyTemplate()], openStore);
  addOld(machine.world, 'a');
  addOld(machine.world, 'b', { alive: false });
  return machine;
}

/** c cannot live in the pool. */
async function oneInVain(openStore?: OpenStore): Promise<Machine> {
  const machine = await Machine.make([legacyTemplate()], openStore);
  addOld(machine.world, 'c');
  machine.world.behaviours.set('c', { readyMs: null, livesMs: 1 });
  return machine;
}

function thereAndBack(machine: Machine): readonly Act[] {
  let traded = false;
  return [
    {
      what: 'bring a and b over',
      act: (system) => system.migrations.begin({ parallel: 1 }),
      done: (system) => phaseOf(system, 'a') === 'done' && phaseOf(system, 'b') === 'done',
    },
    {
      what: 'roll a back',
      act: async (system) => {
        if (!traded) trade(machine.world, 'a', MORE);
        traded = true;
        await system.migrations.rollback('a').catch(unless('back already', 'gone on'));
      },
      done: (system) => phaseOf(system, 'a') === 'rolled-back',
    },
    {
      what: 'finish b',
      act: (system) => system.migrations.finish('b'),
      done: (system) => phaseOf(system, 'b') === 'finished',
    },
  ];
}

function inVain(): readonly Act[] {
  return [
    {
      what: 'bring c over in vain',
      act: (system) => system.migrations.begin({}),
      done: (system) => phaseOf(system, 'c') === 'failed',
    },
  ];
}

/** Step → outcome, for people. */
function table(deaths: readonly Death[], outcome: string): string {
  const rows = Map.groupBy(deaths, ({ act, where }) => `${act.padEnd(22)} ${where}`);
  return [...rows]
    .sort()
    .map(([row, { length }]) => `${row.padEnd(80)} killed ${length} times → ${outcome}`)
    .join('\n');
}

/** What must have been cut off, before it or after it, for the table to be worth something. */
const THERE_AND_BACK = [
  'store: none → waiting',
  'store: bot changed, waiting → preparing',
  'store: preparing → stopping',
  'store: stopping noted',
  'foreign.setRestartPolicy',
  'foreign.stop',
  'store: stopping → copying',
  'vault.write',
  'store: bot changed, copying → placing',
  'agent.restore',
  'store: placing → comparing',
  'store: bot changed, comparing → proving',
  'store: comparing → done',
  'store: proving → done',
  'store: bot changed, done → leaving',
  'store: leaving → returning',
  'store: returning noted',
  'foreign.writeTree',
  'store: bot changed, returning → removing',
  'agent.remove',
  'store: removing → reviving',
  'foreign.start',
  'store: reviving → rolled-back',
  'store: done → clearing',
  'foreign.remove',
  'store: clearing → finished',
];
const IN_VAIN = [
  'store: bot changed, proving → leaving',
  'store: leaving → returning',
  'foreign.start',
  'store: reviving → failed',
];

function checkTable(deaths: readonly Death[], effects: readonly string[]): void {
  const wheres = new Set(deaths.map(({ where }) => where));
  const isCut = (effect: string): boolean => wheres.has(`before ${effect}`) || wheres.has(`after ${effect}`);
  expect(effects.filter((effect) => !isCut(effect))).toEqual([]);
}

async function killThereAndBack(name: string, newMachine: () => Promise<Machine>): Promise<void> {
  let watched: Watched | null = null;
  const story = (machine: Machine): readonly Act[] => {
    watched = new Watched(machine);
    return thereAndBack(machine);
  };
  const deaths = await killEverywhere(newMachine, story, async ({ world }) => {
    expect(watched?.doubled).toEqual([]);
    const old = watched?.old('a');
    expect(old).toMatchObject({ alive: true, restartPolicy: { name: 'unless-stopped' } });
    expect(old && tradesOfOld(old)).toEqual(MORE);
    expect([isAlive(world, 'a'), isAlive(world, 'b')]).toEqual([false, false]);
    expect(tradesOfBot(world, 'b')).toEqual(TRADES);
    expect(world.foreign.has('id-of-b'), 'what is finished is removed').toBe(false);
  });
  console.log(`${name}\n${table(deaths, 'a is back with 3 trades, b in the pool with 2')}`);
  checkTable(deaths, THERE_AND_BACK);
}

async function killInVain(name: string, newMachine: () => Promise<Machine>): Promise<void> {
  let watched: Watched | null = null;
  const story = (machine: Machine): readonly Act[] => {
    watched = new Watched(machine);
    return inVain();
  };
  const deaths = await killEverywhere(newMachine, story, async ({ world }) => {
    expect(watched?.doubled).toEqual([]);
    const old = watched?.old('c');
    expect(old).toMatchObject({ alive: true, restartPolicy: { name: 'unless-stopped' } });
    expect(old && tradesOfOld(old)).toEqual(TRADES);
    expect(isAlive(world, 'c')).toBe(false);
  });
  console.log(`${name}\n${table(deaths, 'c lives where it was, with 2 trades')}`);
  checkTable(deaths, IN_VAIN);
}

describe('an orchestrator killed at any point of a migration', () => {
  it(
    'goes on or goes back: never two of one bot alive, no trade lost',
    () => killThereAndBack('file store', () => twoOld()),
    400_000,
  );

  it(
    'goes back all the way when the bot cannot live in the pool',
    () => killInVain('file store', () => oneInVain()),
    400_000,
  );

  it.skipIf(VALKEY === null)(
    'does both with a Valkey server, too',
    async () => {
      const server = await startValkey();
      let number = 0;
      const open: OpenStore = (folder) => {
        const location = server.location({ prefix: `machine-${number}`, leaseMs: 10_000 });
        return openValkeyStore({ location, home: 'here', marker: join(folder, 'marker'), clock, log: silentLogger });
      };
      try {
        await killThereAndBack('Valkey store', () => {
          number += 1;
          return twoOld(open);
        });
        await killInVain('Valkey store', () => {
          number += 1;
          return oneInVain(open);
        });
      } finally {
        await server.dispose();
      }
    },
    600_000,
  );
});
