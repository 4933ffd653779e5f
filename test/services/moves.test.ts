import { describe, expect, it } from 'vitest';
import type { BunkhouseEvent } from '../../lib/domain/events.ts';
import type { MoveRule } from '../../lib/domain/move-rule.ts';
import type { Template } from '../../lib/domain/template.ts';
import type { MoveBot } from '../../lib/services/pool-api.ts';
import { aService } from '../planner/builders.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

const FIRST = 'test-echo-1';
const SECOND = 'test-echo-2';

const FACTS: MoveRule['facts'] = {
  trades: { kind: 'sum', from: [{ path: '/trades', pointer: '/total', take: 'value' }] },
};
const rule = (move: Partial<MoveRule> = {}): Partial<Template> => ({
  move: { deadlineSeconds: 2, headers: {}, facts: {}, ...move },
});

/** A machine with one bot `a` that has traded. */
async function withTrader(template: Partial<Template>, work: (machine: Machine, system: System) => Promise<void>) {
  await using machine = await Machine.make([quickTemplate(template)]);
  machine.world.behaviours.set('a', { stopMs: 200 });
  await using system = await System.start(machine);
  await system.api.createBot(ADMIN, { instanceId: 'a' });
  await system.until({ a: 'running' });
  box(machine, FIRST)?.write('a', 'trades', 'one');
  await work(machine, system);
  expectOneAlive(machine);
}

const box = (machine: Machine, name: string) => machine.world.containers.get(name);
const placeOf = (system: System, bot = 'a') => system.store.current().bots.get(bot)?.placement?.container;
const isOver = (system: System, bot = 'a') => system.store.current().bots.get(bot)?.move === null;
const untilOver = (system: System, bot = 'a') => waitFor('the move is over', () => isOver(system, bot), 8000);

function expectOneAlive(machine: Machine): void {
  const alive = [...machine.world.containers.values()].filter((container) => container.bot('a')?.alive === true);
  expect(alive.length).toBeLessThanOrEqual(1);
}

/** What is left of `a`, by container. */
const leftIn = (machine: Machine): Record<string, string | null> =>
  Object.fromEntries(
    [...machine.world.containers.values()]
      .filter((container) => container.filesOf('a').length > 0)
      .map((container) => [container.record.name, container.fileOf('a', 'trades')]),
  );

function events(system: System): () => BunkhouseEvent[] {
  const seen: BunkhouseEvent[] = [];
  const stop = new AbortController();
  const stream = system.api.events(ADMIN, null, stop.signal);
  void (async () => {
    for await (const { event } of stream) seen.push(event);
  })();
  return () => {
    stop.abort();
    return seen;
  };
}

const move = (system: System, request: MoveBot = {}) => system.api.moveBot(ADMIN, 'a', request);

describe('a bot that moves', () => {
  it('runs in another container of its pool with its data, and nothing is left behind', () =>
    withTrader(rule(), async (machine, system) => {
      const seen = events(system);
      expect((await move(system)).move).toMatchObject({ phase: 'preparing', to: 'another container of its pool' });
      await untilOver(system);
      await system.until({ a: 'running' });
      expect(placeOf(system)).toBe(SECOND);
      expect(leftIn(machine)).toEqual({ [SECOND]: 'one' });
      const told = seen().filter(({ type }) => type === 'bot.moved' || type === 'bot.moving');
      expect(told).toMatchObject([
        { type: 'bot.moving', bot: 'a', to: { kind: 'pool' } },
        { type: 'bot.moved', bot: 'a', from: FIRST, container: SECOND, awaySeconds: expect.any(Number) },
      ]);
      expect(await machine.shelves().carried.list()).toEqual([]);
    }));

  it('may go back and forth', () =>
    withTrader(rule(), async (machine, system) => {
      for (const place of [SECOND, FIRST, SECOND]) {
        await move(system, place === SECOND ? {} : { to: place });
        await untilOver(system);
        expect(placeOf(system)).toBe(place);
      }
      await system.until({ a: 'running' });
      expect(leftIn(machine)).toEqual({ [SECOND]: 'one' });
    }));

  it('shows in the new place what it knew in the old one', () =>
    withTrader(rule({ facts: FACTS }), async (machine, system) => {
      machine.prober.facts.set(9000, () => ({ total: 5 }));
      machine.prober.facts.set(9003, () => ({ total: 7 }));
      await move(system);
      await untilOver(system);
      expect(placeOf(system)).toBe(SECOND);
    }));

  it('stays stopped when it was', () =>
    withTrader(rule({ facts: FACTS }), async (machine, system) => {
      await system.api.setDesired(ADMIN, 'a', 'stopped');
      await system.until({ a: 'stopped' });
      await move(system);
      await untilOver(system);
      expect(placeOf(system)).toBe(SECOND);
      expect(leftIn(machine)).toEqual({ [SECOND]: 'one' });
      expect(system.states()).toEqual({ a: 'stopped' });
    }));

  it('is not asked to be better than it was', () =>
    withTrader(rule({ deadlineSeconds: 0.3 }), async (machine, system) => {
      machine.world.behaviours.set('a', { readyMs: null, livesMs: 20 });
      machine.world.killBot('a');
      await system.until({ a: 'backoff' });
      await move(system);
      await untilOver(system);
      expect(placeOf(system)).toBe(SECOND);
      expect(leftIn(machine)).toEqual({ [SECOND]: 'one' });
    }));

  it.each([
    ['dies there', (machine: Machine) => machine.world.behaviours.set(`a@${SECOND}`, { readyMs: null, livesMs: 5 })],
    ['never gets ready there', (machine: Machine) => machine.world.behaviours.set(`a@${SECOND}`, { readyMs: null })],
    ['is not itself there', (machine: Machine) => machine.prober.answers.set(9003, { ok: false, reason: 'another' })],
    ['lacks something there', (machine: Machine) => machine.prober.facts.set(9003, () => ({ total: 4 }))],
    ['cannot be asked there', (machine: Machine) => machine.prober.facts.delete(9003)],
  ])('goes back when it %s, with what it has by then', (_, spoil) =>
    withTrader(
      { ...rule({ deadlineSeconds: 0.5, facts: FACTS }), checks: [{ kind: 'tcp', timeoutSeconds: 1 }] },
      async (machine, system) => {
        machine.prober.facts.set(9000, () => ({ total: 5 }));
        machine.prober.facts.set(9003, () => ({ total: 5 }));
        spoil(machine);
        const seen = events(system);
        await move(system);
        await waitFor('it is there', () => system.store.current().bots.get('a')?.move?.phase === 'proving');
        box(machine, SECOND)?.write('a', 'trades', 'one, two');
        await untilOver(system);
        await system.until({ a: 'running' });
        expect(placeOf(system)).toBe(FIRST);
        expect(leftIn(machine)).toEqual({ [FIRST]: 'one, two' });
        expect(seen().filter(({ type }) => type === 'bot.move-failed')).toMatchObject([
          { bot: 'a', container: FIRST, why: expect.stringContaining(SECOND) },
        ]);
        const { backups } = await system.backups.list(ADMIN, { bot: 'a' });
        expect(backups.map(({ kind }) => kind)).toEqual(['before-restore']);
      },
    ),
  );

  it('goes back at once when its data is refused', () =>
    withTrader(rule(), async (machine, system) => {
      machine.world.faults.failNext('agent.restore', 'INVALID');
      await move(system);
      await untilOver(system);
      await system.until({ a: 'running' });
      expect(leftIn(machine)).toEqual({ [FIRST]: 'one' });
    }));

  it('goes on when no place can be made for it', () =>
    withTrader(rule(), async (machine, system) => {
      machine.world.faults.failNext('create', 'NOT_FOUND', 1000);
      await move(system);
      await waitFor('a place is kept', () => system.store.current().bots.get('a')?.move?.other !== null);
      await system.reconciler.settled();
      expect(system.states()).toEqual({ a: 'running' });
      machine.skewMs = 1_000_000;
      system.reconciler.request();
      await untilOver(system);
      expect(placeOf(system)).toBe(FIRST);
      expect(system.states()).toEqual({ a: 'running' });
    }));

  it('is held where it is while its old container cannot be asked', () =>
    withTrader(rule({ deadlineSeconds: 60 }), async (machine, system) => {
      await move(system);
      await waitFor('it leaves', () => system.store.current().bots.get('a')?.move?.phase !== 'preparing');
      machine.world.faults.failNext('agent.observe', 'AGENT_UNAVAILABLE', 6);
      await system.reconciler.pass('all');
      expectOneAlive(machine);
      machine.world.faults.clear();
      system.reconciler.request('all');
      await untilOver(system);
      expect(leftIn(machine)).toEqual({ [SECOND]: 'one' });
    }));
});

describe('what is asked for during a move', () => {
  const PHASES = ['preparing', 'leaving', 'carrying', 'arriving', 'proving', 'clearing'] as const;

  /** Holds the move in a phase: what would end it fails. */
  function stall(machine: Machine, phase: (typeof PHASES)[number]): void {
    const { faults } = machine.world;
    if (phase === 'preparing') faults.failNext('create', 'DRIVER_UNAVAILABLE', 1000);
    if (phase === 'carrying') faults.failNext('agent.backup', 'AGENT_UNAVAILABLE', 1);
    if (phase === 'arriving') faults.failNext('agent.restore', 'AGENT_UNAVAILABLE', 1);
    if (phase === 'proving') machine.world.behaviours.set(`a@${SECOND}`, { readyMs: 300 });
    if (phase === 'clearing') faults.failNext('agent.remove', 'AGENT_UNAVAILABLE', 1);
  }

  const until = (system: System, phase: (typeof PHASES)[number]) =>
    waitFor(phase, () => system.store.current().bots.get('a')?.move?.phase === phase);

  it.each(PHASES)('deletion while %s: its newest data is archived, and nothing is left anywhere', (phase) =>
    withTrader(rule({ deadlineSeconds: 30 }), async (machine, system) => {
      stall(machine, phase);
      await move(system);
      await until(system, phase);
      for (const container of machine.world.containers.values()) {
        if (container.bot('a')?.alive === true) container.write('a', 'trades', 'last');
      }
      await system.api.deleteBot(ADMIN, 'a');
      machine.world.faults.clear();
      await waitFor('it is gone', () => !system.store.current().bots.has('a'), 8000);
      expect(leftIn(machine)).toEqual({});
      const { backups } = await system.backups.list(ADMIN, { kind: 'deleted' });
      expect(backups).toMatchObject([{ bot: 'a' }]);
      expect(await machine.shelves().carried.list()).toEqual([]);
    }),
  );

  it.each(PHASES)('stop while %s: the move goes on, and it stays stopped', (phase) =>
    withTrader(rule({ deadlineSeconds: 30 }), async (machine, system) => {
      stall(machine, phase);
      await move(system);
      await until(system, phase);
      await system.api.setDesired(ADMIN, 'a', 'stopped');
      machine.world.faults.clear();
      system.reconciler.request('all');
      await untilOver(system);
      await system.until({ a: 'stopped' });
      expect(leftIn(machine)).toEqual({ [SECOND]: 'one' });
    }),
  );

  it.each(PHASES)('a change and a restart while %s: it is so in the new place', (phase) =>
    withTrader(rule({ deadlineSeconds: 30 }), async (machine, system) => {
      stall(machine, phase);
      await move(system);
      await until(system, phase);
      await system.api.changeBot(ADMIN, 'a', { files: { config: Buffer.from('new').toString('base64') } });
      await system.api.restartBot(ADMIN, 'a');
      machine.world.faults.clear();
      system.reconciler.request('all');
      await untilOver(system);
      await system.until({ a: 'running' });
      expect(leftIn(machine)).toEqual({ [SECOND]: 'one' });
      expect(box(machine, SECOND)?.fileOf('a', 'config')).toBe('new');
    }),
  );

  it('a restore is refused, the same move is the same, another is refused', () =>
    withTrader(rule({ deadlineSeconds: 30 }), async (machine, system) => {
      const { id } = await system.backups.backup(ADMIN, 'a');
      stall(machine, 'preparing');
      await move(system);
      expect((await move(system)).move).toMatchObject({ phase: 'preparing' });
      await expect(move(system, { to: 'alone' })).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(system.backups.restore(ADMIN, id, {})).rejects.toMatchObject({ code: 'CONFLICT' });
    }));
});

describe('callers and backups', () => {
  it('are told to wait while it is held still', () =>
    withTrader(rule({ deadlineSeconds: 30 }), async (machine, system) => {
      machine.world.faults.failNext('agent.restore', 'AGENT_UNAVAILABLE');
      expect(system.api.isMoving('a')).toBe(false);
      await move(system);
      await waitFor('it arrives', () => system.store.current().bots.get('a')?.move?.phase === 'arriving');
      expect(system.api.isMoving('a')).toBe(true);
      expect(() => system.api.route(ADMIN, 'a')).toThrow('a is being moved');
      await expect(system.backups.backup(ADMIN, 'a')).rejects.toMatchObject({ code: 'CONFLICT' });
      const giveUp = AbortSignal.timeout(8000);
      expect(await system.api.untilRouted('a', giveUp)).toBe(true);
      expect(system.api.route(ADMIN, 'a').port).toBe(9003);
    }));
});

describe('a lease that ends on the way', () => {
  it('is seen to where the bot arrives: nobody gets what was in it', async () => {
    await using machine = await Machine.make([leasedTemplate({}, rule({ deadlineSeconds: 30 }))]);
    await using system = await System.start(machine);
    const alice = { role: 'owner', owner: 'alice' } as const;
    const lease = await system.leases.acquire(alice, { ttlSeconds: 60 }, 'key');
    const bot = lease.instanceId;
    for (const container of machine.world.containers.values()) container.write(bot, 'dirt', 'mine');
    machine.world.faults.failNext('agent.backup', 'AGENT_UNAVAILABLE');
    const readyBot = () => system.store.current().bots.records.find(({ reserve }) => reserve?.phase === 'ready');
    await waitFor('another is ready', () => readyBot() !== undefined);
    const ready = readyBot();
    const refused = system.api.moveBot(ADMIN, ready?.instanceId ?? '', {});
    await expect(refused).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('reserve') });
    await system.api.moveBot(ADMIN, bot, {});
    await waitFor('it leaves', () => system.store.current().bots.get(bot)?.move?.left !== null);
    await system.leases.release(alice, lease.id);
    await waitFor('it is ready again', () => system.store.current().bots.get(bot)?.reserve?.phase === 'ready', 8000);
    expect(system.store.current().bots.get(bot)?.move).toBeNull();
    for (const container of machine.world.containers.values()) expect(container.filesOf(bot)).not.toContain('dirt');
  });
});

describe('a move that cannot be', () => {
  it.each([
    [{ to: 'test-echo-9' }, 'NOT_FOUND', 'there is no container'],
    [{ to: FIRST }, 'CONFLICT', 'already'],
    [{ location: 'nowhere' }, 'UNKNOWN_LOCATION', 'nowhere'],
    [{ location: 'local' }, 'CONFLICT', 'already'],
    [{ to: 'pool', location: 'local' }, 'INVALID', 'not both'],
    [{ to: 'A B' }, 'INVALID', 'name of a container'],
  ] as const)('%o is refused', (request, code, text) =>
    withTrader(rule(), async (_, system) => {
      await expect(move(system, request)).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    }),
  );

  it('is not an owner’s to ask for', () =>
    withTrader(rule(), async (_, system) => {
      const ask = system.api.moveBot({ role: 'owner', owner: 'admin' }, 'a', {});
      await expect(ask).rejects.toMatchObject({ code: 'FORBIDDEN' });
    }));

  it('of a bot with data in a service, says so', () =>
    withTrader({ ...rule(), services: { db: aService() } }, async (_, system) => {
      await expect(move(system)).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('db') });
    }));
});
