import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MigrationPhase } from '../../lib/domain/migration.ts';
import { drain } from '../../lib/services/upgrade-changes.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  addOld,
  DISCOVERY,
  databaseFiles,
  isAlive,
  legacyTemplate,
  type Trade,
  trade,
  tradesOfBot,
  tradesOfOld,
} from './legacy.ts';
import { ADMIN, Machine, System } from './system.ts';

const TRADES: readonly Trade[] = [
  [1, false],
  [2, true],
];
const MORE: readonly Trade[] = [...TRADES, [3, true]];

let machine: Machine;
let system: System;

beforeEach(async () => {
  machine = await Machine.make([legacyTemplate()]);
  system = await System.start(machine);
});

afterEach(async () => {
  await system[Symbol.asyncDispose]();
  await machine[Symbol.asyncDispose]();
});

async function until(id: string, phase: MigrationPhase): Promise<void> {
  await waitFor(
    `${id} ${phase}`,
    () => {
      const view = system.migrations.get(id);
      if (view.phase === phase) return true;
      throw new Error(`it is ${view.phase}: ${view.why} ${view.held}`);
    },
    4000,
  );
}

const dryRun = async (id: string) => {
  const { candidates } = await system.migrations.overview({});
  const found = candidates.find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`${id} is no candidate`);
  return found;
};

describe('a dry run', () => {
  it('tells what was found and what would be done, and changes nothing', async () => {
    const box = addOld(machine.world, 'My.Bot', { port: 8101 });
    const before = JSON.stringify([box, system.store.current()]);
    const calls: string[] = [];
    machine.world.faults.hook = ({ method }) => void calls.push(method);
    const { candidates, foreign } = await system.migrations.overview({});
    expect(candidates).toMatchObject([
      {
        id: 'My.Bot',
        owner: 'User1',
        ready: true,
        source: { name: 'echo-My.Bot', state: 'running', image: 'echo:1', path: '/srv/User1/My.Bot' },
        config: { valid: true },
        database: { path: 'data/trades.sqlite', damage: '', facts: { answers: { open: '1', last: '2' } } },
        destination: { pool: 'echo/default/local', container: null },
        problems: [{ code: 'PORT_MOVES', blocking: false }],
        estimate: { secondsDown: null },
      },
    ]);
    expect(candidates[0]?.database?.facts?.tables.trades).toMatchObject({ rows: 2, last: 2 });
    expect(candidates[0]?.database?.walBytes, 'the rows are in the log alone').toBeGreaterThan(0);
    expect(candidates[0]?.steps.join('\n')).toContain('from unless-stopped to no');
    expect(foreign).toMatchObject([{ name: 'echo-My.Bot', id: 'My.Bot', why: '' }]);
    expect(JSON.stringify([box, system.store.current()])).toBe(before);
    expect(new Set(calls.filter((call) => call.startsWith('foreign')))).toEqual(
      new Set(['foreign.list', 'foreign.readTree', 'foreign.sizeOf']),
    );
  });

  it('lists what is none of ours, with the reason, and never as a candidate', async () => {
    const box = addOld(machine.world, 'x');
    machine.world.foreign.set(box.id, { ...box, name: 'nginx' });
    const { candidates, foreign } = await system.migrations.overview({});
    expect(candidates).toEqual([]);
    expect(foreign).toMatchObject([{ name: 'nginx', id: null, why: expect.stringContaining('name') }]);
  });

  it.each([
    ['a broken configuration', { config: '{"name": ' }, 'CONFIG_INVALID'],
    ['a missing key', { config: '{"userId": "u", "plan": "Plan"}' }, 'CONFIG_INVALID'],
    ['code that is missing', { plan: 'class Other' }, 'CODE_MISSING'],
    ['no owner', { config: '{"name": "a", "plan": "Plan"}' }, 'OWNER_INVALID'],
    ['an unknown argument', { command: ['echo', 'run', '--weird'] }, 'SETTING_CHANGES'],
    [
      'a database that is no file',
      { config: '{"name":"a","userId":"u","plan":"Plan","db_url":"mysql://x"}' },
      'DATABASE_UNSUPPORTED',
    ],
  ] as const)('names %s as what stands in the way, and begin leaves it alone', async (_, options, code) => {
    const box = addOld(machine.world, 'a', options);
    const before = JSON.stringify(box);
    const found = await dryRun('a');
    expect(found.ready).toBe(false);
    expect(found.problems.filter(({ blocking }) => blocking).map((problem) => problem.code)).toEqual([code]);
    expect((await system.migrations.begin({})).refused.map(({ id }) => id)).toEqual(['a']);
    expect(JSON.stringify(box)).toBe(before);
    expect(system.store.current().migrations.size).toBe(0);
  });

  it('names a damaged database, a port that somebody else has, an id that is taken', async () => {
    const box = addOld(machine.world, 'a', { alive: false, port: 8101 });
    const file = box.files.get('/echo/data/trades.sqlite');
    if (file === undefined) throw new Error('no database');
    box.files.delete('/echo/data/trades.sqlite-wal');
    box.files.set('/echo/data/trades.sqlite', {
      ...file,
      data: Buffer.concat([file.data.subarray(0, 100), Buffer.alloc(4000, 1)]),
    });
    machine.world.foreignPorts.add(8101);
    await system.api.createBot(ADMIN, { instanceId: 'a', files: { 'config.json': '' } });
    const found = await dryRun('a');
    expect(found.problems.filter(({ blocking }) => blocking).map(({ code }) => code)).toEqual([
      'ID_TAKEN',
      'DATABASE_DAMAGED',
      'PORT_TAKEN',
    ]);
  });
});

describe('two deployments of one id', () => {
  it('are both refused', async () => {
    const box = addOld(machine.world, 'a');
    const told = { ...box.told, mounts: [] };
    machine.world.foreign.set('other', { ...box, id: 'other', name: 'echo-a', told });
    machine.world.foreign.set(box.id, { ...box, name: 'x-echo-a' });
    machine.templates.set('echo', legacyTemplate({ discovery: { ...DISCOVERY, name: 'echo-(?<id>.+)$' } }));
    const { migrations, refused } = await system.migrations.begin({});
    expect(migrations).toEqual([]);
    expect(refused.map(({ id, problems }) => [id, problems[0]?.code])).toEqual([
      ['a', 'ID_TAKEN'],
      ['a', 'ID_TAKEN'],
    ]);
  });
});

describe('a deployment of old', () => {
  it('comes into the pool with every row, proven, and is kept stopped', async () => {
    const box = addOld(machine.world, 'My.Bot');
    await system.migrations.begin({});
    await until('My.Bot', 'done');
    expect(box).toMatchObject({ alive: false, restartPolicy: { name: 'no' } });
    expect(isAlive(machine.world, 'My.Bot')).toBe(true);
    expect(tradesOfBot(machine.world, 'My.Bot')).toEqual(TRADES);
    const view = system.migrations.get('My.Bot');
    expect(view).toMatchObject({ ranBefore: true, why: '', restartPolicy: { name: 'unless-stopped' } });
    expect(view.secondsDown).not.toBeNull();
    expect(view.proof.before).toEqual(view.proof.after);
    const bot = system.store.current().bots.get('My.Bot');
    expect(bot).toMatchObject({ owner: 'User1', desired: 'running', env: { ECHO_MODE: 'x' } });
    const config = box.files.get('/echo/config.json')?.data;
    expect(bot?.files['config.json']).toBe(config?.toString('base64'));
    const [container] = machine.world.containers.values();
    expect(container?.bytesOf('My.Bot', 'config.json')).toEqual(config);
    expect(await dryRun('My.Bot').catch((error) => error.message)).toContain('no candidate');
  });

  it('that was stopped arrives stopped, proven by its data', async () => {
    addOld(machine.world, 'a', { alive: false });
    await system.migrations.begin({});
    await until('a', 'done');
    expect(isAlive(machine.world, 'a')).toBe(false);
    expect(system.states()).toEqual({ a: 'stopped' });
    expect(tradesOfBot(machine.world, 'a')).toEqual(TRADES);
    expect(system.migrations.get('a')).toMatchObject({ ranBefore: false, secondsDown: null });
  });

  it('that does not get well in the pool goes back and lives as before, with the reason', async () => {
    const box = addOld(machine.world, 'a');
    const files = JSON.stringify([...box.files]);
    machine.world.behaviours.set('a', { readyMs: null, livesMs: 1 });
    await system.migrations.begin({});
    await until('a', 'failed');
    expect(box).toMatchObject({ alive: true, starts: 1, restartPolicy: { name: 'unless-stopped' } });
    expect(JSON.stringify([...box.files]), 'nothing is written where nothing has changed').toBe(files);
    expect(system.migrations.get('a').why).toContain('ended 3 times');
    expect(system.states()).toEqual({});
  });

  it('is rolled back with what it did since, and the older database beside', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    trade(machine.world, 'a', MORE);
    await system.migrations.rollback('a');
    await until('a', 'rolled-back');
    expect(box).toMatchObject({ alive: true, starts: 1, restartPolicy: { name: 'unless-stopped' } });
    expect(tradesOfOld(box)).toEqual(MORE);
    const beside = [...box.files.keys()].find((path) => /before-rollback-\d{8}T\d{6}Z$/.test(path));
    expect(tradesOfOld(box, beside?.slice('/echo/data/trades.sqlite'.length))).toEqual(TRADES);
    expect(box.files.get('/echo/data/trades.sqlite')).toMatchObject({ uid: 1000, mode: 0o640 });
    expect(system.states()).toEqual({});
    expect(isAlive(machine.world, 'a')).toBe(false);
    expect((await dryRun('a')).ready, 'it can be tried again').toBe(true);
  });

  it('is rolled back over what somebody had the old one do meanwhile, which is kept', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    for (const [ending, data] of databaseFiles([...TRADES, [9, true]]))
      box.files.set(`/echo/data/trades.sqlite${ending}`, { data, mode: 0o640, uid: 1000 });
    trade(machine.world, 'a', MORE);
    await system.migrations.rollback('a');
    await until('a', 'rolled-back');
    expect(tradesOfOld(box)).toEqual(MORE);
    const { notes, carried, backup } = system.migrations.get('a');
    const kept = notes.join().match(/is in the backup (\S+?)(,|$)/)?.[1];
    const { backups } = await system.backups.list(ADMIN, { kind: 'migration' });
    expect(backups.map(({ id }) => id).sort()).toEqual([backup, carried, kept].sort());
  });

  it('is not given less than it had: a bot that lost rows goes back without them', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    trade(machine.world, 'a', [[2, true]]);
    await system.migrations.rollback('a');
    await until('a', 'rolled-back');
    expect(tradesOfOld(box)).toEqual(TRADES);
    expect(system.migrations.get('a').notes.join()).toContain('of 2 rows in trades only 1');
  });

  it('that is finished is removed; after that there is no way back', async () => {
    addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    await system.migrations.finish('a');
    await until('a', 'finished');
    expect(machine.world.foreign.size).toBe(0);
    expect(isAlive(machine.world, 'a')).toBe(true);
    await expect(system.migrations.rollback('a')).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('that is to be kept for no day is removed by itself', async () => {
    addOld(machine.world, 'a');
    await system.migrations.begin({ keepDays: 0 });
    await until('a', 'finished');
    expect(machine.world.foreign.size).toBe(0);
  });

  it('that somebody starts again is stopped again, and told', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    machine.world.startForeign(box);
    await system.migrations.lookForRevenants();
    expect(box).toMatchObject({ alive: false, restartPolicy: { name: 'no' } });
    expect(system.migrations.get('a').notes.join()).toContain('it was stopped again');
  });

  it('whose state cannot be told is left alone until it can', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    box.unreadable = true;
    await waitFor('it is held', () => system.migrations.get('a').held !== '' || system.migrations.get('a').over, 3000);
    expect(isAlive(machine.world, 'a')).toBe(false);
    expect(['waiting', 'preparing', 'stopping', 'failed']).toContain(system.migrations.get('a').phase);
  });

  it('moves only so many at a time', async () => {
    for (const id of ['a', 'b', 'c', 'd']) addOld(machine.world, id);
    let most = 0;
    const stop = system.reconciler.onPicture(({ state }) => {
      const way = state.migrations.records.filter(({ phase }) => !['waiting', 'done'].includes(phase));
      most = Math.max(most, way.length);
    });
    await system.migrations.begin({ parallel: 2 });
    for (const id of ['a', 'b', 'c', 'd']) await until(id, 'done');
    stop();
    expect(most).toBe(2);
  });

  it("is nobody else's to start, change or delete while it is on its way", async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    machine.world.faults.failNext('foreign.stop', 'DEADLINE');
    await until('a', 'stopping');
    for (const change of [
      () => system.api.setDesired(ADMIN, 'a', 'running'),
      () => system.api.deleteBot(ADMIN, 'a'),
      () => system.api.restartBot(ADMIN, 'a'),
      () => system.api.changeBot(ADMIN, 'a', { args: [] }),
    ])
      await expect(change()).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(box.alive).toBe(true);
  });

  it('is not moved to another container while it is on its way, whatever empties its own', async () => {
    addOld(machine.world, 'a');
    await system.migrations.begin({});
    machine.world.faults.failNext('foreign.stop', 'DEADLINE');
    await until('a', 'stopping');
    await expect(system.api.moveBot(ADMIN, 'a', { to: 'pool' })).rejects.toMatchObject({ code: 'CONFLICT' });
    const container = system.store.current().bots.get('a')?.placement?.container ?? '';
    await system.store.update(drain(container, { surge: 1, force: true }, 0));
    await until('a', 'done');
    expect(system.migrations.get('a').why).toBe('');
    await waitFor('it has moved', () => {
      const bot = system.store.current().bots.get('a');
      return bot?.move === null && bot.placement?.container !== container;
    });
    expect(tradesOfBot(machine.world, 'a')).toEqual(TRADES);
  });

  it('is not rolled back while its bot moves', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    await system.api.moveBot(ADMIN, 'a', { to: 'pool' });
    await expect(system.migrations.rollback('a')).rejects.toMatchObject({ code: 'CONFLICT' });
    await waitFor('it has moved', () => system.store.current().bots.get('a')?.move === null, 4000);
    trade(machine.world, 'a', MORE);
    await system.migrations.rollback('a');
    await until('a', 'rolled-back');
    expect(tradesOfOld(box)).toEqual(MORE);
  });

  it('is not rolled back over a bot that somebody else has made under its id since', async () => {
    const box = addOld(machine.world, 'a', { port: 8101 });
    await system.migrations.begin({});
    await until('a', 'done');
    await system.api.deleteBot(ADMIN, 'a');
    await waitFor('it is gone', () => !system.store.current().bots.has('a'));
    await system.api.createBot(ADMIN, { instanceId: 'a', owner: 'somebody-else', files: { 'config.json': '{}' } });
    await expect(system.migrations.rollback('a')).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(system.store.current().bots.get('a')).toMatchObject({ owner: 'somebody-else', desired: 'running' });
    expect(box.alive).toBe(false);
  });

  it('that somebody has removed is nothing to go back to: its bot goes on', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    trade(machine.world, 'a', MORE);
    machine.world.foreign.delete(box.id);
    await expect(system.migrations.rollback('a')).rejects.toMatchObject({ code: 'CONFLICT' });
    await system.reconciler.settled();
    expect(system.migrations.get('a').phase).toBe('done');
    expect(isAlive(machine.world, 'a')).toBe(true);
  });

  it('whose bot is being deleted is rolled back without it, and the old one lives', async () => {
    const box = addOld(machine.world, 'a');
    await system.migrations.begin({});
    await until('a', 'done');
    await system.api.deleteBot(ADMIN, 'a');
    await system.migrations.rollback('a');
    await until('a', 'rolled-back');
    expect(box.alive).toBe(true);
    expect(system.migrations.get('a').notes.join()).toContain('its bot was deleted meanwhile');
  });

  it('is asked for by its id, and an unknown one is told', async () => {
    addOld(machine.world, 'a');
    addOld(machine.world, 'b');
    await expect(system.migrations.begin({ only: ['z'] })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { migrations } = await system.migrations.begin({ only: ['b'] });
    expect(migrations.map(({ id }) => id)).toEqual(['b']);
    await until('b', 'done');
    const again = await system.migrations.begin({ only: ['b'] });
    expect(again.migrations).toMatchObject([{ id: 'b', phase: 'done' }]);
    expect((await dryRun('a')).estimate, 'told from the one before').toMatchObject({
      secondsDown: expect.any(Number),
      basis: expect.stringContaining('measured'),
    });
  });
});
