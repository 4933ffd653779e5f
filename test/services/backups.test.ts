import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFolderVault } from '../../lib/backup/folder.ts';
import { hasCode } from '../../lib/domain/errors.ts';
import { expire } from '../../lib/services/expiry.ts';
import { Shelf } from '../../lib/services/shelf.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

const ALICE = { role: 'owner', owner: 'alice' } as const;
const BOB = { role: 'owner', owner: 'bob' } as const;
const text = (content: string): string => Buffer.from(content).toString('base64');

function containerOf({ world }: Machine, bot: string) {
  const found = [...world.containers.values()].find((container) => container.bot(bot) !== undefined);
  if (found === undefined) throw new Error(`${bot} is nowhere`);
  return found;
}

const contentOf = (machine: Machine, bot: string, path: string): string | null =>
  containerOf(machine, bot).fileOf(bot, path);

/** A running bot of Alice with a file that changes. */
async function setUp(template = quickTemplate({ secrets: { key: { bytes: 8 } } })) {
  const machine = await Machine.make([template]);
  const system = await System.start(machine);
  await system.api.createBot(ADMIN, {
    instanceId: 'a',
    owner: 'alice',
    files: { config: text('old') },
    args: ['--old'],
  });
  await system.until({ a: 'running' });
  containerOf(machine, 'a').write('a', 'trades', 'one');
  return { machine, system };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );

const restored = (system: System, bot: string) =>
  waitFor('the restore ends', () => {
    const { restore } = system.backups.overview(ADMIN, bot).bots[0] ?? {};
    return restore?.state === 'under-way' || restore === undefined ? null : restore;
  });

describe('a backup', () => {
  it('is made of a running bot and tells nothing secret', async () => {
    const { machine, system } = await setUp();
    const before = system.api.getBot(ADMIN, 'a');
    const backup = await system.backups.backup(ALICE, 'a');
    expect(backup).toMatchObject({ bot: 'a', owner: 'alice', kind: 'asked', good: true, shelf: 'backups', files: 2 });
    expect(system.api.getBot(ADMIN, 'a')).toMatchObject({ state: 'running', pid: before.pid });
    const shown = JSON.stringify([await system.backups.list(ADMIN, {}), system.backups.overview(ADMIN)]);
    for (const secret of [text('old'), system.store.current().bots.get('a')?.secrets.key ?? '?', '--old']) {
      expect(shown).not.toContain(secret);
    }
    const folder = join(machine.folder, 'backups');
    const names = await readdir(folder);
    expect(names.sort()).toEqual([`${backup.id}.bot.json`, `${backup.id}.json`, `${backup.id}.tar.gz`]);
    for (const name of names) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('is seen, made and restored by its owner and administrators only', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ALICE, 'a');
    expect((await system.backups.list(ALICE, {})).backups).toHaveLength(1);
    expect((await system.backups.list(BOB, {})).backups).toEqual([]);
    expect(await codeOf(system.backups.get(BOB, id))).toBe('NOT_FOUND');
    expect(await codeOf(system.backups.backup(BOB, 'a'))).toBe('NOT_FOUND');
    expect(await codeOf(system.backups.restore(BOB, id, {}))).toBe('NOT_FOUND');
    expect(await codeOf(system.backups.restore(BOB, id, { as: 'b' }))).toBe('NOT_FOUND');
    expect(await codeOf(system.backups.restore(ALICE, id, { as: 'b', owner: 'bob' }))).toBe('FORBIDDEN');
    expect(() => system.backups.overview(BOB, 'a')).toThrow('there is no bot');
    expect(system.backups.overview(BOB).bots).toEqual([]);
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('that fails is told with its reason and when it is tried again, and one that is made takes that back', async () => {
    const { machine, system } = await setUp();
    machine.world.faults.failNext('agent.backup', 'INTERNAL');
    expect(await codeOf(system.backups.backup(ADMIN, 'a'))).toBe('INTERNAL');
    expect(system.backups.overview(ADMIN).bots).toMatchObject([
      { instanceId: 'a', last: null, failure: { count: 1, why: expect.stringMatching(/./) } },
    ]);
    await system.backups.backup(ADMIN, 'a');
    expect(system.backups.overview(ADMIN).bots).toMatchObject([{ last: { ageSeconds: 0 }, failure: null }]);
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('is known to the next supervisor, and older ones are thrown away', async () => {
    const { machine, system } = await setUp();
    for (let n = 0; n < 5; n++) await system.backups.backup(ADMIN, 'a');
    const kept = (await system.backups.list(ADMIN, {})).backups;
    expect(kept).toHaveLength(3);
    await system[Symbol.asyncDispose]();
    const next = await System.start(machine);
    await waitFor('a look', () => next.backups.overview(ADMIN).trouble === '');
    expect(next.backups.overview(ADMIN).bots[0]?.last?.id).toBe(kept.at(-1)?.id);
    await next[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('is none of a bot on lease', async () => {
    const machine = await Machine.make([leasedTemplate()]);
    const system = await System.start(machine);
    await waitFor('warm bots', () => Object.keys(system.states()).length === 3);
    const [bot = ''] = Object.keys(system.states());
    expect(await codeOf(system.backups.backup(ADMIN, bot))).toBe('CONFLICT');
    expect(system.backups.run(ADMIN).started).toEqual([]);
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });
});

describe('a restore in place', () => {
  it('brings data, files and arguments back, keeps what it replaces, and the bot goes on as wanted', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    const { secrets } = system.store.current().bots.get('a') ?? {};
    await system.api.changeBot(ADMIN, 'a', { files: { config: text('new') }, args: ['--new'] });
    containerOf(machine, 'a').write('a', 'trades', 'two');
    const answer = await system.backups.restore(ALICE, id, {});
    expect(answer).toMatchObject({ how: 'in-place', backup: id, notes: [expect.stringContaining('before-restore')] });
    expect(await restored(system, 'a')).toMatchObject({ state: 'done', backup: id });
    await system.until({ a: 'running' });
    expect(contentOf(machine, 'a', 'trades')).toBe('one');
    expect(contentOf(machine, 'a', 'config')).toBe('old');
    expect(system.store.current().bots.get('a')).toMatchObject({ args: ['--old'], secrets, restore: null });
    const { backups } = await system.backups.list(ADMIN, { kind: 'before-restore' });
    expect(backups).toHaveLength(1);
    await system.backups.restore(ADMIN, backups[0]?.id ?? '', {});
    await restored(system, 'a');
    await system.until({ a: 'running' });
    expect(contentOf(machine, 'a', 'trades')).toBe('two');
    expect(system.store.current().bots.get('a')).toMatchObject({ args: ['--new'] });
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('leaves a bot stopped that its owner had stopped', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    await system.api.setDesired(ADMIN, 'a', 'stopped');
    await system.until({ a: 'stopped' });
    await system.backups.restore(ADMIN, id, {});
    await restored(system, 'a');
    await system.reconciler.settled();
    expect(system.states()).toEqual({ a: 'stopped' });
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('refuses a backup that is not what was kept before the bot is stopped', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    const path = join(machine.folder, 'backups', `${id}.tar.gz`);
    const bytes = await readFile(path);
    bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
    await writeFile(path, bytes);
    expect(await codeOf(system.backups.restore(ADMIN, id, {}))).toBe('INVALID');
    await system.reconciler.settled();
    expect(system.states()).toEqual({ a: 'running' });
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('goes back when the container refuses what it was sent, and goes on when it was only not there', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    containerOf(machine, 'a').write('a', 'trades', 'two');
    machine.world.faults.failNext('agent.restore', 'INVALID');
    await system.backups.restore(ADMIN, id, {});
    expect(await restored(system, 'a')).toMatchObject({ state: 'failed', why: expect.stringMatching(/./) });
    await system.until({ a: 'running' });
    expect(contentOf(machine, 'a', 'trades')).toBe('two');
    machine.world.faults.failNext('agent.restore', 'AGENT_UNAVAILABLE');
    await system.backups.restore(ADMIN, id, {});
    expect(await restored(system, 'a')).toMatchObject({ state: 'done' });
    await system.until({ a: 'running' });
    expect(contentOf(machine, 'a', 'trades')).toBe('one');
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  /** As if it had been asked for long ago. */
  const age = (system: System) =>
    system.store.update((state) => {
      const bot = state.bots.get('a');
      const restore = bot?.restore && { ...bot.restore, since: '2020-01-01T00:00:00.000Z' };
      if (bot === undefined || restore == null) throw new Error('a is not being restored');
      return { state: { ...state, bots: state.bots.put('a', { ...bot, restore }) }, result: undefined };
    });

  it.each([
    { what: 'done, when it was and only the answer was lost', lost: true, state: 'done', trades: 'one' },
    { what: 'given up, when it was not', lost: false, state: 'failed', trades: 'two' },
  ])('that takes too long is told as $what', async ({ lost, state, trades }) => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    containerOf(machine, 'a').write('a', 'trades', 'two');
    let aged = false;
    machine.world.faults.hook = async ({ method, when }) => {
      if (method !== 'agent.backup' || when !== 'after' || aged) return;
      aged = true;
      await age(system);
    };
    // Once while it is not late yet, and once when it is.
    if (lost) machine.world.faults.loseNextAnswer('agent.restore', 2);
    else machine.world.faults.failNext('agent.restore', 'AGENT_UNAVAILABLE', 2);
    await system.backups.restore(ADMIN, id, {});
    const restore = await restored(system, 'a');
    expect(restore.state).toBe(state);
    if (!lost) expect(restore.why).toMatch(/on purpose; it goes on with the data it had$/);
    await system.until({ a: 'running' });
    expect(contentOf(machine, 'a', 'trades')).toBe(trades);
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('is not sent again when only the answer was lost', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    const calls: string[] = [];
    machine.world.faults.hook = ({ method, when }) => {
      if (method === 'agent.restore' && when === 'before') calls.push(method);
    };
    machine.world.faults.loseNextAnswer('agent.restore');
    await system.backups.restore(ADMIN, id, {});
    expect(await restored(system, 'a')).toMatchObject({ state: 'done' });
    expect(calls).toHaveLength(1);
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('that cannot be found out about is told as that', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    machine.world.faults.failNext('agent.restored', 'UNSUPPORTED', 2);
    machine.world.faults.failNext('agent.restore', 'INVALID');
    await system.backups.restore(ADMIN, id, {});
    const { why } = await restored(system, 'a');
    const [kept] = (await system.backups.list(ADMIN, { kind: 'before-restore' })).backups;
    expect(why).toContain(
      `whether it goes on with the data it had, which is kept as ${kept?.id}, or with that of ${id}`,
    );
    await system.until({ a: 'running' });
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('never gives a bot of the same name to whoever had it before', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    await system.api.deleteBot(ADMIN, 'a');
    await system.until({});
    await system.api.createBot(ADMIN, { instanceId: 'a', owner: 'bob' });
    await system.until({ a: 'running' });
    expect(await codeOf(system.backups.restore(ADMIN, id, {}))).toBe('CONFLICT');
    expect(await codeOf(system.backups.restore(ALICE, id, {}))).toBe('CONFLICT');
    expect(await codeOf(system.backups.restore(BOB, id, {}))).toBe('NOT_FOUND');
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });
});

describe('a restore as a new bot', () => {
  it('makes one that stays stopped, with data, files and secrets, and says so', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    const answer = await system.backups.restore(ALICE, id, { as: 'b' });
    expect(answer.notes.join(' ')).toMatch(/stays stopped.*one account/);
    await restored(system, 'b');
    await system.until({ a: 'running', b: 'stopped' });
    expect(contentOf(machine, 'b', 'trades')).toBe('one');
    const [a, b] = ['a', 'b'].map((name) => system.store.current().bots.get(name));
    expect(b).toMatchObject({
      owner: 'alice',
      desired: 'stopped',
      args: ['--old'],
      files: a?.files,
      secrets: a?.secrets,
    });
    await system.api.setDesired(ALICE, 'b', 'running');
    await system.until({ a: 'running', b: 'running' });
    expect(contentOf(machine, 'b', 'trades')).toBe('one');
    expect(await codeOf(system.backups.restore(ALICE, id, { as: 'b' }))).toBe('CONFLICT');
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('is held as failed when the backup is refused, says what to do, and is tried again when asked', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    machine.world.faults.failNext('agent.restore', 'INVALID');
    await system.backups.restore(ALICE, id, { as: 'b' });
    const { why, ...failed } = await restored(system, 'b');
    expect(failed).toEqual({ backup: id, state: 'failed' });
    expect(why).toContain('fails on purpose; b has no data and is held: delete it, or try again');
    expect(why).toContain(`bunkhouse backups restore ${id} --as b, with --force`);
    await system.until({ a: 'running', b: 'failed' });
    expect(system.api.getBot(ALICE, 'b').reason).toBe(why);
    let tries = 0;
    machine.world.faults.hook = ({ method }) => {
      if (method === 'agent.sendArchive') tries += 1;
    };
    for (let n = 0; n < 5; n++) await system.reconciler.pass('all');
    await system[Symbol.asyncDispose]();
    const next = await System.start(machine);
    await next.until({ a: 'running', b: 'failed' });
    expect(next.backups.overview(ADMIN, 'b').bots[0]?.restore).toEqual({ backup: id, state: 'failed', why });
    expect(tries).toBe(0);
    expect(await codeOf(next.backups.restore(BOB, id, { as: 'b' }))).toBe('NOT_FOUND');
    expect(await next.backups.restore(ALICE, id, { as: 'b', force: true })).toMatchObject({ how: 'new' });
    expect(await restored(next, 'b')).toMatchObject({ state: 'done' });
    await next.until({ a: 'running', b: 'stopped' });
    expect(contentOf(machine, 'b', 'trades')).toBe('one');
    expect(await codeOf(next.backups.restore(ALICE, id, { as: 'b' }))).toBe('CONFLICT');
    await next[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('that failed can be deleted', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    machine.world.faults.failNext('agent.restore', 'INVALID');
    await system.backups.restore(ALICE, id, { as: 'b', start: true });
    await system.until({ a: 'running', b: 'failed' });
    await system.api.deleteBot(ALICE, 'b');
    await system.until({ a: 'running' });
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('gives another owner none of the secrets', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    await system.backups.restore(ADMIN, id, { as: 'b', owner: 'bob', start: true });
    await system.until({ a: 'running', b: 'running' });
    const [a, b] = ['a', 'b'].map((name) => system.store.current().bots.get(name));
    expect(b?.owner).toBe('bob');
    expect(b?.secrets.key).not.toBe(a?.secrets.key);
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });
});

describe('the archive of a deleted bot', () => {
  it('is found and brings the bot back under its old id or another', async () => {
    const { machine, system } = await setUp();
    const { secrets } = system.store.current().bots.get('a') ?? {};
    await system.api.deleteBot(ADMIN, 'a');
    await system.until({});
    const { backups } = await system.backups.list(ALICE, {});
    expect(backups).toMatchObject([{ bot: 'a', owner: 'alice', kind: 'deleted', shelf: 'archives', template: 'echo' }]);
    const id = backups[0]?.id ?? '';
    for (const as of [undefined, 'b']) await system.backups.restore(ALICE, id, as === undefined ? {} : { as });
    await system.until({ a: 'stopped', b: 'stopped' });
    await restored(system, 'a');
    await restored(system, 'b');
    for (const bot of ['a', 'b']) expect(contentOf(machine, bot, 'trades')).toBe('one');
    expect(system.store.current().bots.get('a')).toMatchObject({ owner: 'alice', args: ['--old'], secrets });
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('from before its record was kept is an administrator’s, and goes into a bot made as it was', async () => {
    const { machine, system } = await setUp();
    await system.api.deleteBot(ADMIN, 'a');
    await system.until({});
    const folder = join(machine.folder, 'archives');
    const [id = ''] = (await readdir(folder))
      .filter((name) => name.endsWith('.tar.gz'))
      .map((name) => name.slice(0, -7));
    await system[Symbol.asyncDispose]();
    const { rm } = await import('node:fs/promises');
    for (const ending of ['.json', '.bot.json']) await rm(join(folder, id + ending));
    const next = await System.start(machine);
    expect((await next.backups.list(ALICE, {})).backups).toEqual([]);
    expect((await next.backups.list(ADMIN, {})).backups).toMatchObject([{ id, bot: 'a', owner: null, sha256: null }]);
    const refused = await next.backups.restore(ADMIN, id, {}).catch((error: unknown) => error);
    expect(hasCode(refused, 'INVALID') && refused.message).toMatch(/make a as it was, stopped/);
    await next.api.createBot(ADMIN, { instanceId: 'a', owner: 'alice', desired: 'stopped' });
    await next.until({ a: 'stopped' });
    await next.backups.restore(ADMIN, id, {});
    await restored(next, 'a');
    expect(contentOf(machine, 'a', 'trades')).toBe('one');
    await next[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });
});

describe('what is kept of a deleted bot', () => {
  it('is thrown away when it is old enough, but not while a bot is restored from it', async () => {
    const { machine, system } = await setUp();
    const { id } = await system.backups.backup(ADMIN, 'a');
    await system.api.deleteBot(ADMIN, 'a');
    await system.until({});
    const shelfOf = (folder: string): Shelf =>
      new Shelf({
        vault: createFolderVault(join(machine.folder, folder)),
        clock: systemClock,
        log: silentLogger,
        newId: () => 'x',
      });
    const [archives, backups] = [shelfOf('archives'), shelfOf('backups')];
    const { store } = system;
    const later = (days: number) => ({ ...systemClock, now: () => systemClock.now() + days * 86_400_000 });
    const names = async () => [...(await archives.list()), ...(await backups.list())].map((facts) => facts.id);
    const expireAfter = (days: number) =>
      expire({ store, archives, backups, clock: later(days), log: silentLogger }, 30);
    await expireAfter(29);
    expect(await names()).toHaveLength(2);
    machine.world.faults.failNext('agent.restore', 'INVALID');
    await system.backups.restore(ADMIN, id, { as: 'b' });
    await system.until({ b: 'failed' });
    await expireAfter(31);
    expect(await names()).toEqual([id]);
    await system.api.deleteBot(ADMIN, 'b');
    await system.until({});
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });
});
