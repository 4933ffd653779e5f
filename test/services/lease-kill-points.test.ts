import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { openValkeyStore } from '../../lib/store/valkey/valkey-store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { startValkey, VALKEY } from '../support/valkey-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Act, type Death, killEverywhere, tableOf } from './fuse.ts';
import { leasedTemplate, Machine, type System } from './system.ts';

const ALICE = { role: 'owner', owner: 'alice' } as const;
const TARGET = 2;

const template = () =>
  leasedTemplate({
    reserve: { target: TARGET, locations: {}, min: TARGET, batchSize: 1, batchSpacingSeconds: 0, windows: [] },
  });

/** Which key each lease was acquired under. */
const keys = new Map<string, string>();

const phases = (system: System): (string | undefined)[] =>
  system.store.current().bots.records.map((bot) => bot.reserve?.phase);

/** Whoever has a bot leaves something in it. */
async function acquire(machine: Machine, system: System, key: string, ttlSeconds: number): Promise<void> {
  const { id, instanceId, fromPool, end } = await system.leases.acquire(ALICE, { ttlSeconds }, key);
  expect(fromPool).toBe(true);
  keys.set(id, key);
  if (end !== null) return;
  for (const container of machine.world.containers.values()) {
    // Its own, when it asks again for an answer that was lost.
    expect([null, key]).toContain(container.fileOf(instanceId, 'dirt'));
    container.write(instanceId, 'dirt', key);
  }
}

/** The one lease of this key, whoever asked how often; null before. */
function onlyLease(system: System, key: string): { readonly id: string; readonly expiresAt: string } | null {
  const found = system.store.current().leases.records.filter(({ id }) => keys.get(id) === key);
  expect(found.length).toBeLessThanOrEqual(1);
  return found[0] ?? null;
}

function unlessEnded(error: unknown): void {
  if (!(error instanceof BunkhouseError && error.code === 'CONFLICT')) throw error;
}

function newStory(machine: Machine): readonly Act[] {
  keys.clear();
  const full = (system: System): boolean => phases(system).filter((phase) => phase === 'ready').length >= TARGET;
  const told = (system: System, key: string): boolean => {
    const lease = onlyLease(system, key);
    const boxes = [...machine.world.containers.values()];
    return boxes.some((box) =>
      system.store.current().bots.keys.some((bot) => {
        const file = JSON.parse(box.fileOf(bot, 'lease.json') ?? 'null') as { id: string; expiresAt: string } | null;
        return file !== null && file.id === lease?.id && file.expiresAt === lease.expiresAt;
      }),
    );
  };
  let granted = '';
  return [
    { what: 'fill the reserve', act: async () => {}, done: full },
    {
      what: 'acquire',
      act: async (system) => {
        await acquire(machine, system, 'one', 60);
        granted = onlyLease(system, 'one')?.expiresAt ?? '';
      },
      done: (system) => told(system, 'one') && full(system),
    },
    {
      what: 'extend',
      act: (system) => system.leases.extend(ALICE, onlyLease(system, 'one')?.id ?? '', 30),
      done: (system) => (onlyLease(system, 'one')?.expiresAt ?? '') > granted && told(system, 'one'),
    },
    {
      what: 'release',
      act: (system) => system.leases.release(ALICE, onlyLease(system, 'one')?.id ?? ''),
      done: (system) => phases(system).every((phase) => phase === 'ready'),
    },
    {
      what: 'acquire for a moment',
      act: (system) => acquire(machine, system, 'two', 0.3).catch(unlessEnded),
      done: (system) => system.leases.list(ALICE).length === 0 && phases(system).every((phase) => phase === 'ready'),
    },
  ];
}

async function checkEnd(machine: Machine, system: System): Promise<void> {
  await waitFor('everything is ready', () => phases(system).every((phase) => phase === 'ready'), 5000);
  const { bots, leases } = system.store.current();
  // What came back after its lease may be one more than wanted for a while.
  expect(bots.size).toBeGreaterThanOrEqual(TARGET);
  expect(bots.size).toBeLessThanOrEqual(TARGET + 1);
  expect(leases.records.map(({ end }) => end?.how).sort()).toEqual(['expired', 'released']);
  expect(leases.records.map(({ fence }) => fence)).toEqual([...new Set(leases.records.map(({ fence }) => fence))]);
  const alive = [...machine.world.containers.values()].flatMap((box) =>
    bots.keys.filter((bot) => box.bot(bot)?.alive === true),
  );
  expect(alive.sort()).toEqual([...bots.keys]);
  for (const box of machine.world.containers.values())
    for (const bot of bots.keys) expect(box.filesOf(bot), `${bot} is dirty`).not.toContain('dirt');
}

/** What must have been cut off, before and after, for the table to be worth something. */
const REQUIRED: readonly string[] = [
  'store: new → warming',
  'driver.create',
  'agent.apply',
  'store: warming → ready',
  'store: lease granted, ready → assigned',
  'store: bot changed, lease extended',
  'store: assigned → expired, lease released',
  'store: assigned → expired, lease expired',
  'store: expired → resetting',
  'agent.reset',
  'store: resetting → warming',
];

function checkTable(deaths: readonly Death[]): void {
  const wheres = new Set(deaths.map(({ where }) => where));
  const required = REQUIRED.flatMap((effect) => [`before ${effect}`, `after ${effect}`]);
  expect(required.filter((where) => !wheres.has(where))).toEqual([]);
}

describe('an orchestrator killed at any point of a lease', () => {
  it('loses no bot, doubles no lease, hands out nothing dirty, and the next one goes on', async () => {
    const deaths = await killEverywhere(() => Machine.make([template()]), newStory, checkEnd);
    console.log(`file store\n${tableOf(deaths)}`);
    checkTable(deaths);
  }, 300_000);

  it.skipIf(VALKEY === null)(
    'does so with a Valkey server, too',
    async () => {
      const server = await startValkey();
      let number = 0;
      try {
        const machine = (): Promise<Machine> => {
          const location = server.location({ prefix: `machine-${++number}`, leaseMs: 10_000 });
          return Machine.make([template()], (folder) =>
            openValkeyStore({ location, home: 'here', marker: join(folder, 'marker'), clock, log: silentLogger }),
          );
        };
        const deaths = await killEverywhere(machine, newStory, checkEnd);
        console.log(`Valkey store\n${tableOf(deaths)}`);
        checkTable(deaths);
      } finally {
        await server.dispose();
      }
    },
    300_000,
  );
});
