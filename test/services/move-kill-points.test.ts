import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/domain/errors.ts';
import { openValkeyStore } from '../../lib/store/valkey/valkey-store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { startValkey, VALKEY } from '../support/valkey-server.ts';
import { type Act, type Death, killEverywhere, tableOf } from './fuse.ts';
import { ADMIN, Machine, type OpenStore, quickTemplate, type System } from './system.ts';

const FIRST = 'test-echo-1';
const SECOND = 'test-echo-2';

const template = () =>
  quickTemplate({
    move: {
      deadlineSeconds: 30,
      headers: {},
      facts: { trades: { kind: 'sum', from: [{ path: '/trades', pointer: '/total', take: 'value' }] } },
    },
  });

async function newMachine(openStore?: OpenStore): Promise<Machine> {
  const machine = await Machine.make([template()], openStore);
  for (const port of [9000, 9003]) machine.prober.facts.set(port, () => ({ total: 1 }));
  return machine;
}

const placeOf = (system: System) => system.store.current().bots.get('a')?.placement?.container;
const isHome = (system: System) => system.store.current().bots.get('a')?.move === null;
const trades = (machine: Machine): Record<string, string | null> =>
  Object.fromEntries(
    [...machine.world.containers.values()]
      .filter((container) => container.filesOf('a').length > 0)
      .map((container) => [container.record.name, container.fileOf('a', 'trades')]),
  );

/** Of all containers in which it is alive: it trades there. */
function trade(machine: Machine): void {
  for (const container of machine.world.containers.values()) {
    if (container.bot('a')?.alive !== true) continue;
    container.write('a', 'trades', `${container.fileOf('a', 'trades') ?? ''}+`);
  }
}

const create: Act = {
  what: 'create a',
  act: (system) =>
    system.api.createBot(ADMIN, { instanceId: 'a' }).catch((error: unknown) => {
      if (!messageOf(error).includes('already')) throw error;
    }),
  done: (system) => system.states().a === 'running',
};

/** Asked for again by a client that had no answer; not once it has been there. */
function moveThere(machine: Machine): readonly Act[] {
  let asked = false;
  return [
    create,
    {
      what: 'move a',
      act: async (system) => {
        if (!asked) trade(machine);
        asked = true;
        if (isHome(system) && placeOf(system) === FIRST) await system.api.moveBot(ADMIN, 'a', {});
      },
      done: (system) => isHome(system) && system.states().a === 'running',
    },
  ];
}

/** It does not live in the new place, but trades before it dies there. */
function moveInVain(machine: Machine): readonly Act[] {
  machine.world.behaviours.set(`a@${SECOND}`, { readyMs: null, livesMs: 3 });
  let asked = false;
  let failed = false;
  return [
    create,
    {
      what: 'move a, in vain',
      act: async (system) => {
        if (!asked) trade(machine);
        asked = true;
        void (async () => {
          for await (const { event } of system.api.events(ADMIN, 0, AbortSignal.timeout(20_000)))
            if (event.type === 'bot.move-failed') failed = true;
        })();
        const record = system.store.current().bots.get('a');
        if (record?.move?.undone) failed = true;
        if (record?.move === null && !failed) await system.api.moveBot(ADMIN, 'a', {});
      },
      done: (system) => failed && isHome(system) && system.states().a === 'running',
    },
  ];
}

const checkEnd =
  (place: string) =>
  async (machine: Machine, system: System): Promise<void> => {
    await system.until({ a: 'running' });
    expect(placeOf(system)).toBe(place);
    expect(trades(machine)).toEqual({ [place]: '+' });
    const alive = [...machine.world.containers.values()].filter((container) => container.bot('a')?.alive === true);
    expect(alive.map(({ record }) => record.name)).toEqual([place]);
    expect(await machine.shelves().carried.list()).toEqual([]);
  };

/** What must have been cut off, before and after, for the table to be worth something. */
const THERE: readonly string[] = [
  'store: at home → preparing',
  'driver.create',
  'store: preparing → leaving',
  'store: leaving → carrying',
  'agent.backup',
  'agent.fetchArchive',
  'vault.write',
  'store: carrying → arriving',
  'agent.sendArchive',
  'agent.restore',
  'store: arriving → proving',
  'store: proving → clearing',
  'agent.remove',
  'vault.remove',
  'store: clearing → at home',
];
const BACK: readonly string[] = [
  'store: proving → back: leaving',
  'store: back: leaving → back: carrying',
  'store: back: carrying → back: arriving',
  'store: back: arriving → back: clearing',
  'store: back: clearing → at home',
];

function checkTable(deaths: readonly Death[], effects: readonly string[]): void {
  const wheres = new Set(deaths.map(({ where }) => where));
  const required = effects.flatMap((effect) => [`before ${effect}`, `after ${effect}`]);
  expect(required.filter((where) => !wheres.has(where))).toEqual([]);
}

async function everywhere(what: string, openStore?: () => OpenStore): Promise<void> {
  const make = (): Promise<Machine> => newMachine(openStore?.());
  const there = await killEverywhere(make, moveThere, checkEnd(SECOND));
  console.log(`${what}, a move\n${tableOf(there)}`);
  checkTable(there, THERE);
  const back = await killEverywhere(make, moveInVain, checkEnd(FIRST));
  console.log(`${what}, a move that is undone\n${tableOf(back)}`);
  checkTable(back, BACK);
}

describe('an orchestrator killed at any point of a move', () => {
  it('goes on or goes back, loses no trade and doubles nobody', () => everywhere('file store'), 300_000);

  it.skipIf(VALKEY === null)(
    'does so with a Valkey server, too',
    async () => {
      const server = await startValkey();
      let number = 0;
      const inServer = (): OpenStore => {
        const location = server.location({ prefix: `machine-${++number}`, leaseMs: 10_000 });
        return (folder) =>
          openValkeyStore({ location, home: 'here', marker: join(folder, 'marker'), clock, log: silentLogger });
      };
      try {
        await everywhere('Valkey store', inServer);
      } finally {
        await server.dispose();
      }
    },
    300_000,
  );
});
