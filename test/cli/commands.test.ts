import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BotView } from '../../lib/services/pool-api.ts';
import type { UsageReport } from '../../lib/services/usage-api.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Ran, run, type Supervisor, start, startSupervisor } from './bunkhouse.ts';

// Each command is a process that starts from nothing, many of them on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** The real command line against a real supervisor over HTTP. Each test has bots of its own. */

let supervisor: Supervisor;
const cli = (...args: string[]): Promise<Ran> => run(args, supervisor.env);

async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await cli(...args, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as T;
}

const show = (id: string): Promise<BotView> => json('bots', 'show', id);

const create = (id: string, ...args: string[]): Promise<Ran> =>
  cli('bots', 'create', id, '--template', 'plain', '--wait', '20', ...args);

beforeAll(async () => {
  supervisor = await startSupervisor();
});

afterAll(async () => {
  const { code, err } = await supervisor.close();
  expect({ code, err }).toEqual({ code: 0, err: '' });
});

describe('bots', () => {
  it('creates a bot from local files, arguments and variables, waits until it runs, and shows it', async () => {
    const folder = join(supervisor.directory, 'local');
    await mkdir(folder);
    const config = join(folder, 'config.json');
    const strategy = join(folder, 'Mine.py');
    await writeFile(config, '{}');
    await writeFile(strategy, 'é\0');
    const ran = await create(
      'made',
      ...['--owner', 'ann@example.com', '--config-file', config, '--file', `user_data/Mine.py=${strategy}`],
      ...['--env', 'GREETING=a=b', '--arg', '--strategy', '--arg=Mine'],
    );
    expect(ran).toMatchObject({ code: 0, out: 'made: running\n' });
    expect(await show('made')).toMatchObject({
      instanceId: 'made',
      owner: 'ann@example.com',
      template: 'plain',
      state: 'running',
      files: ['config.json', 'user_data/Mine.py'],
    });
    const text = (await cli('bots', 'show', 'made')).out;
    expect(text).toMatch(/^state +running, since /m);
    expect(text).toMatch(/^owner +ann@example.com$/m);
  });

  it('refuses an id that is taken with 5, unless --exists-ok and the bot fits', async () => {
    await create('twice', '--owner', 'ann');
    expect(await create('twice')).toMatchObject({ code: 5, out: '', err: expect.stringContaining('(CONFLICT)') });
    expect(await create('twice', '--owner', 'ann', '--exists-ok')).toMatchObject({ code: 0, out: 'twice: running\n' });
    expect(await create('twice', '--owner', 'bob', '--exists-ok')).toMatchObject({ code: 5 });
  });

  it('stops, starts, restarts and deletes, and asking again changes nothing', async () => {
    await create('life');
    const { pid } = await show('life');
    expect(await cli('bots', 'stop', 'life', '--wait')).toMatchObject({ code: 0, out: 'life: stopped\n' });
    expect(await cli('bots', 'stop', 'life', '--wait')).toMatchObject({ code: 0, out: 'life: stopped\n' });
    expect(await cli('bots', 'start', 'life', '--wait')).toMatchObject({ code: 0, out: 'life: running\n' });
    const started = await show('life');
    expect(started.pid).not.toBe(pid);
    expect(await cli('bots', 'restart', 'life', '--wait')).toMatchObject({ code: 0, out: 'life: running\n' });
    expect((await show('life')).pid).not.toBe(started.pid);
    expect(await cli('bots', 'delete', 'life', '--wait')).toMatchObject({ code: 0, out: 'life: deleted\n' });
    expect(await cli('bots', 'delete', 'life')).toMatchObject({ code: 3 });
    expect(await cli('bots', 'delete', 'life', '--if-exists')).toMatchObject({ code: 0, out: 'life: not there\n' });
  });

  it('takes several ids and stops at the first that fails', async () => {
    await create('several-a');
    await create('several-b');
    const ran = await cli('bots', 'stop', 'several-a', 'nobody', 'several-b', '--wait');
    expect(ran).toMatchObject({ code: 3, out: 'several-a: stopped\n' });
    expect(await show('several-b')).toMatchObject({ desired: 'running' });
  });

  it('does not start a bot made with --stopped, and waiting for what never comes ends with 7 and says the state', async () => {
    expect(await create('idle', '--stopped')).toMatchObject({ code: 0, out: 'idle: stopped\n' });
    const silent = await cli('bots', 'create', 'mute', '--template', 'mute', '--wait', '1');
    expect(silent).toMatchObject({ code: 7, out: '' });
    expect(silent.err).toMatch(/^bunkhouse: mute did not run within 1 s: it is \w+/m);
  });

  it('says that a template cannot pause, with 1', async () => {
    await create('steady');
    expect(await cli('bots', 'pause', 'steady')).toMatchObject({
      code: 1,
      err: expect.stringContaining('(UNSUPPORTED)'),
    });
  });

  it('lists bots as a table and, filtered, as the JSON of the API', async () => {
    await create('listed', '--owner', 'lister');
    const { out } = await cli('bots', 'list', '--owner', 'lister');
    const [head, row, end] = out.split('\n');
    expect(head).toMatch(/^BOT +STATE +WANTED +OWNER/);
    expect(row).toMatch(/^listed +running +running +lister +plain/);
    expect(end).toBe('');
    const response = await fetch(`${supervisor.url}/api/bots?owner=lister&limit=1000`, {
      headers: { authorization: `Bearer ${await adminToken()}` },
    });
    expect(await json('bots', 'list', '--owner', 'lister')).toMatchObject({
      bots: [{ instanceId: 'listed' }],
      next: ((await response.json()) as { next: null }).next,
    });
  });
});

describe('shared services', () => {
  it('are in the status, with their output to read', async () => {
    expect(await cli('bots', 'create', 'user', '--template', 'served', '--wait', '20')).toMatchObject({ code: 0 });
    const container = (await show('user')).container ?? '';
    for (const command of [['status'], ['pool', 'status'], ['top', '--once']]) {
      expect((await cli(...command)).out).toMatch(new RegExp(`^${container} +store +running `, 'm'));
    }
    expect(await cli('pool', 'service-logs', container, 'store', '--tail', '1')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^service store starts as \d+\n$/),
    });
    expect(await cli('pool', 'service-logs', container, 'none')).toMatchObject({ code: 3, out: '' });
  });
});

describe('moves', () => {
  it('moves a bot to another container, out of the pool and back, and says where it is', async () => {
    await create('mover');
    const { container } = await show('mover');
    const moved = await cli('bots', 'move', 'mover', '--wait', '30');
    expect(moved).toMatchObject({ code: 0, out: expect.stringMatching(/^mover: in \S+ now, running\n$/) });
    const first = await show('mover');
    expect(first).toMatchObject({ state: 'running', move: null });
    expect(first.container).not.toBe(container);
    expect(await cli('bots', 'eject', 'mover', '--wait', '30')).toMatchObject({ code: 0 });
    expect((await json<{ mode: string }>('bots', 'show', 'mover')).mode).toBe('legacy');
    expect(await cli('bots', 'pool', 'mover', '--wait', '30')).toMatchObject({ code: 0 });
    expect((await json<{ mode: string }>('bots', 'show', 'mover')).mode).toBe('pooled');
    const target = (await show('mover')).container === container ? first.container : container;
    const named = await cli('bots', 'move', 'mover', '--to', target ?? '', '--wait', '30');
    expect(named).toMatchObject({ code: 0, out: `mover: in ${target} now, running\n` });
  });

  it('refuses what cannot be', async () => {
    await create('stays');
    const { container } = await show('stays');
    expect(await cli('bots', 'move', 'stays', '--to', container ?? '')).toMatchObject({
      code: 5,
      err: expect.stringContaining('already'),
    });
    expect(await cli('bots', 'move', 'stays', '--location', 'nowhere')).toMatchObject({ code: 2 });
    expect(await cli('bots', 'move', 'nobody')).toMatchObject({ code: 3 });
    expect((await cli('bots', 'move', 'stays', '--to', 'x', '--location', 'y')).err).toContain('cannot be used with');
    expect((await cli('bots', 'eject', '--help')).out).toContain('goes back to where it was with all its data');
  });
});

describe('logs', () => {
  it('prints the last lines, and follows across a restart until it is interrupted', async () => {
    await create('talker');
    const first = await cli('logs', 'talker', '--tail', '1');
    expect(first.code).toBe(0);
    expect(first.out.trimEnd().split('\n')).toHaveLength(1);
    const following = start(['bots', 'logs', '-f', 'talker'], supervisor.env);
    await waitFor('the tail is shown', () => following.out().includes(first.out));
    await cli('bots', 'restart', 'talker', '--wait');
    await waitFor('the restart is shown', () => following.out().length > first.out.length);
    following.kill('SIGINT');
    await following.ran;
  });

  it('ends with 3 for a bot that is not there', async () => {
    expect(await cli('logs', '-f', 'nobody')).toMatchObject({ code: 3, out: '' });
  });
});

describe('the pool', () => {
  it('shows status, plan, sweep and cleanup for people and for programs', async () => {
    await create('member');
    const status = await json<{ success: boolean; pools: { id: string }[] }>('status');
    const id = status.pools[0]?.id ?? '';
    expect(status.success).toBe(true);
    expect((await cli('status')).out).toContain(id);
    expect((await cli('pool', 'status')).out).toMatch(new RegExp(`^${id} +running +memory`, 'm'));
    expect((await cli('pool', 'cleanup', '--dry-run')).out).toContain(`${id}: kept, has`);
    expect(await json('plan')).toMatchObject({ success: true, steps: expect.any(Array), held: expect.any(Array) });
    const sweep = await cli('pool', 'health-check');
    expect(sweep.out).toMatch(/^\d+ containers? and \d+ bots? looked at in \d+ ms: /);
    expect(sweep.code).toBe(sweep.out.includes('no issue') ? 0 : 1);
  });

  it('shows one frame of top with --once', async () => {
    await create('watched');
    const { code, out } = await cli('top', '--once');
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+ bots?, \d+ running · \d+ containers?, [\d.]+ MiB/);
    expect(out).toMatch(/^watched +running/m);
  });
});

describe('usage', () => {
  it('shows what bots used, also when they are gone, as a table, JSON and CSV', async () => {
    await create('used', '--owner', 'uma');
    await cli('pool', 'health-check');
    await cli('bots', 'delete', 'used', '--wait');
    expect((await cli('usage', '--owner', 'uma')).out).toMatch(/^uma +used +\d+s +40\.0 MiB +0s$/m);
    const report = await json<UsageReport>('usage', '--owner', 'uma');
    expect(report.usage).toMatchObject([{ owner: 'uma', instanceId: 'used' }]);
    expect(report.total.runningSeconds).toBeGreaterThan(0);
    expect((await cli('usage', '--owner', 'uma', '--by', 'owner', '--csv')).out).toMatch(
      /^owner,runningSeconds,pssByteSeconds,cpuSeconds\numa,[\d.]+,\d+,[\d.]+\n$/,
    );
  });

  it('says so when nothing ran, and hands on what is wrong', async () => {
    const { out } = await cli('usage', '--from', '2020-01-01', '--to', '2020-01-02');
    expect(out).toBe('Nothing ran from 2020-01-01T00:00:00.000Z to 2020-01-02T00:00:00.000Z.\n');
    const wrong = await cli('usage', '--from', 'yesterday');
    expect(wrong).toMatchObject({ code: 2, out: '', err: expect.stringContaining('from: must be an ISO 8601 time') });
    expect(await cli('usage', '--from', 'yesterday', '--csv')).toMatchObject({ code: 2, out: '' });
  });
});

describe('tokens', () => {
  it('makes one for an owner, who sees only their own bots, until it is revoked', async () => {
    await create('of-cleo', '--owner', 'cleo');
    const made = await cli('tokens', 'create', '--owner', 'cleo');
    const token = made.out.trim();
    expect(token).toMatch(/^bh_/);
    const env = { ...supervisor.env, BUNKHOUSE_TOKEN: token };
    const list = JSON.parse((await run(['bots', 'list', '--json'], env)).out) as { bots: BotView[] };
    expect(list.bots.map((bot) => bot.instanceId)).toEqual(['of-cleo']);
    expect(await run(['bots', 'show', 'made'], env)).toMatchObject({ code: 3 });
    expect(await run(['status'], env)).toMatchObject({ code: 4, err: expect.stringContaining('(FORBIDDEN)') });
    expect((await run(['top', '--once'], env)).out).toMatch(/^1 bot, 1 running\n/);
    const { tokens } = await json<{ tokens: { id: string; actor: { owner?: string } }[] }>('tokens', 'list');
    const id = tokens.find(({ actor }) => actor.owner === 'cleo')?.id ?? '';
    expect(await cli('tokens', 'revoke', id)).toMatchObject({ code: 0 });
    expect(await run(['bots', 'list'], env)).toMatchObject({ code: 4, err: expect.stringContaining('(UNAUTHORIZED)') });
  });

  it('asks for whom', async () => {
    expect(await cli('tokens', 'create')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--owner ID or --admin'),
    });
  });
});

describe('failures', () => {
  it('prints the problem document with --json, and what to do for people, and never a stack trace', async () => {
    const { code, out, err } = await cli('bots', 'show', 'nobody', '--json');
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject({ code: 'NOT_FOUND', status: 404 });
    expect(err).toBe('bunkhouse: there is no bot nobody (NOT_FOUND)\n');
  });

  it('takes what the API calls invalid for a wrong use', async () => {
    expect(await cli('bots', 'create', '../x', '--template', 'plain')).toMatchObject({ code: 2 });
    expect(await cli('bots', 'create', 'x', '--template', 'none-such')).toMatchObject({ code: 2 });
  });

  it('says with 4 when the token is missing, and when it is wrong', async () => {
    const nobody = { BUNKHOUSE_URL: supervisor.url };
    expect(await run(['bots', 'list'], nobody)).toMatchObject({
      code: 4,
      err: expect.stringContaining('--token-file'),
    });
    const wrong = await run(['bots', 'list', '--url', supervisor.url, '--token-file', '/none']);
    expect(wrong).toMatchObject({ code: 4, err: expect.stringContaining('/none') });
  });
});

async function adminToken(): Promise<string> {
  return (await readFile(join(supervisor.directory, 'state/admin-token'), 'utf8')).trim();
}
