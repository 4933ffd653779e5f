import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFolderVault } from '../../lib/backup/folder.ts';
import type { BackupRule } from '../../lib/domain/backup-rule.ts';
import type { Template } from '../../lib/domain/template.ts';
import { BackupRuns } from '../../lib/services/backup-runs.ts';
import { BackupSchedule } from '../../lib/services/backup-schedule.ts';
import { Shelf } from '../../lib/services/shelf.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, Machine, quickTemplate, System } from './system.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** After the bots were made, which is by the real clock. */
const TOMORROW = Math.ceil(Date.now() / (24 * HOUR)) * 24 * HOUR;

interface Setting extends AsyncDisposable {
  readonly machine: Machine;
  readonly system: System;
  readonly clock: ManualClock;
  readonly runs: BackupRuns;
  /** As a supervisor has it that starts now. */
  schedule(): BackupSchedule;
}

async function setUp({
  bots = ['a', 'b', 'c'],
  spreadMs = 0,
  parallel = 2,
  templates = [] as Template[],
} = {}): Promise<Setting> {
  const machine = await Machine.make([quickTemplate({ capacity: 100 }), ...templates]);
  const clock = new ManualClock(TOMORROW);
  const backups = new Shelf({
    vault: createFolderVault(`${machine.folder}/backups`),
    clock,
    log: silentLogger,
    newId: () => crypto.randomUUID(),
  });
  const system = await System.start(machine, { ...machine.shelves(), backups });
  for (const instanceId of bots) await system.api.createBot(ADMIN, { instanceId });
  await system.until(Object.fromEntries(bots.map((bot) => [bot, 'running'])));
  const { store, events } = system;

  const deps = { store, events, templates: machine.templates, clock, random: () => 0.5, log: silentLogger };
  const runs = new BackupRuns({ ...deps, backups }, system.reconciler.agents, {
    keep: { last: 2, daily: 0, weekly: 0 },
    parallel,
  });
  const options = { schedule: '0 * * * *', spreadMs };
  return {
    machine,
    system,
    clock,
    runs,
    schedule: () => new BackupSchedule({ ...deps, ...machine.shelves(), backups }, runs, options),
    async [Symbol.asyncDispose]() {
      await runs.idle();
      await system[Symbol.asyncDispose]();
      await machine[Symbol.asyncDispose]();
    },
  };
}

describe('the schedule of backups', () => {
  it('is that of the template where it has one, which may be never, and so is what is kept', async () => {
    const own = (name: string, backup: BackupRule) => quickTemplate({ name, backup });
    const templates = [
      own('often', { schedule: '*/10 * * * *', keep: { last: 1, daily: 0, weekly: 0 } }),
      own('never', { schedule: 'never', keep: null }),
    ];
    await using setting = await setUp({ bots: ['a'], templates });
    const { system, clock, runs } = setting;
    await system.api.createBot(ADMIN, { instanceId: 'o', template: 'often' });
    await system.api.createBot(ADMIN, { instanceId: 'n', template: 'never' });
    await system.until({ a: 'running', n: 'running', o: 'running' });
    const schedule = setting.schedule();
    const begun: string[] = [];
    for (let minute = 0; minute < 60; minute += 10) {
      begun.push(...(await schedule.look()));
      await runs.idle();
      await clock.advance(10 * MINUTE);
    }
    expect(begun.sort()).toEqual(['a', 'o', 'o', 'o', 'o', 'o', 'o']);
    expect((await system.backups.list(ADMIN, { bot: 'o' })).backups).toHaveLength(1);
  });

  it('throws nothing away that a bot is being restored from', async () => {
    await using setting = await setUp({ bots: ['a'] });
    const { machine, system, clock, runs } = setting;
    await runs.run('a', 'asked');
    const { id } = (await system.backups.list(ADMIN, {})).backups[0] ?? { id: '' };
    machine.world.faults.failNext('agent.restore', 'INTERNAL', 1000);
    await system.backups.restore(ADMIN, id, { as: 'copy' });
    for (let n = 0; n < 3; n++) {
      await clock.advance(MINUTE);
      await runs.run('a', 'asked');
    }
    const left = (await system.backups.list(ADMIN, {})).backups.map((backup) => backup.id);
    expect(left).toHaveLength(3);
    expect(left).toContain(id);
  });

  it('takes nothing of a bot of the same id that another owner had for one of its own', async () => {
    await using setting = await setUp({ bots: [] });
    const { system, clock, runs } = setting;
    await system.api.createBot(ADMIN, { instanceId: 'a', owner: 'alice' });
    await system.until({ a: 'running' });
    await runs.run('a', 'asked');
    await system.backups.list(ADMIN, {});
    await system.api.deleteBot(ADMIN, 'a');
    await waitFor('it is gone', () => !system.store.current().bots.has('a'));
    await system.api.createBot(ADMIN, { instanceId: 'a', owner: 'bob' });
    await system.until({ a: 'running' });
    expect(system.backups.overview(ADMIN, 'a').bots).toMatchObject([{ owner: 'bob', last: null }]);
    for (let n = 0; n < 3; n++) {
      await clock.advance(MINUTE);
      await runs.run('a', 'asked');
    }
    const { backups } = await system.backups.list(ADMIN, { kind: 'asked' });
    expect(backups.map(({ owner }) => owner)).toEqual(['alice', 'bob', 'bob']);
  });

  it('backs each bot up once a round, and again in the next', async () => {
    await using setting = await setUp();
    const { clock, runs } = setting;
    const schedule = setting.schedule();
    expect(await schedule.look()).toEqual(['a', 'b', 'c']);
    await runs.idle();
    for (let minute = 0; minute < 59; minute++) {
      await clock.advance(MINUTE);
      expect(await schedule.look()).toEqual([]);
    }
    await clock.advance(MINUTE);
    expect(await schedule.look()).toEqual(['a', 'b', 'c']);
  });

  it('makes good what was missed while no supervisor ran, and nothing that was done', async () => {
    await using setting = await setUp();
    const { clock, runs } = setting;
    await setting.schedule().look();
    await runs.idle();
    expect(await setting.schedule().look()).toEqual([]);
    await clock.advance(5 * HOUR + 7 * MINUTE);
    expect(await setting.schedule().look()).toEqual(['a', 'b', 'c']);
  });

  it('spreads a round, each bot at its own turn', async () => {
    const bots = Array.from({ length: 30 }, (_, n) => `bot-${n}`);
    await using setting = await setUp({ bots, spreadMs: 30 * MINUTE });
    const { clock, runs } = setting;
    const schedule = setting.schedule();
    const perMinute: number[] = [];
    for (let minute = 0; minute <= 30; minute++) {
      perMinute.push((await schedule.look()).length);
      await runs.idle();
      await clock.advance(MINUTE);
    }
    expect(perMinute.reduce((sum, count) => sum + count)).toBe(30);
    expect(Math.max(...perMinute)).toBeLessThan(7);
  });

  it('makes only a few at a time', async () => {
    const bots = Array.from({ length: 20 }, (_, n) => `bot-${n}`);
    await using setting = await setUp({ bots, parallel: 3 });
    let [now, most] = [0, 0];
    setting.machine.world.faults.hook = ({ method, when }) => {
      if (method !== 'agent.backup') return;
      now += when === 'before' ? 1 : -1;
      most = Math.max(most, now);
    };
    setting.machine.world.faults.latencyMs = 5;
    expect(await setting.schedule().look()).toHaveLength(20);
    await setting.runs.idle();
    expect(most).toBe(3);
  });

  it('tries a backup that failed again, at growing distances, until it is made', async () => {
    await using setting = await setUp({ bots: ['a'] });
    const { clock, runs, machine } = setting;
    const schedule = setting.schedule();
    machine.world.faults.failNext('agent.backup', 'INTERNAL', 3);
    const tries: number[] = [];
    for (let minute = 0; minute < 59; minute++) {
      if ((await schedule.look()).length > 0) tries.push(minute);
      await runs.idle();
      await clock.advance(MINUTE);
    }
    expect(tries).toHaveLength(4);
    const distances = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
    expect(runs.failureOf('a')).toBeNull();
  });

  it('clears away first what a killed supervisor left, also of moves and deletions: secrets are in it', async () => {
    await using setting = await setUp({ bots: ['a'] });
    const folders = ['moves', 'archives', 'backups'].map((name) => join(setting.machine.folder, name));
    for (const folder of folders) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'a-2026-03-20T12-00-00-000Z-0a0a0a.bot.json'), '{}');
    }
    await setting.schedule().look();
    await setting.runs.idle();
    const left = (await Promise.all(folders.map((folder) => readdir(folder)))).flat();
    expect(left.filter((name) => name.includes('0a0a0a'))).toEqual([]);
  });
});
