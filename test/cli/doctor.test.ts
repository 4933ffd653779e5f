import { createServer } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import { runChecks, worst } from '../../lib/cli/doctor/checks.ts';
import type { Finding } from '../../lib/cli/doctor/finding.ts';
import { createMachine, type Machine } from '../../lib/cli/doctor/machine.ts';
import { loadConfig } from '../../lib/config/config.ts';
import { CADDY, startCaddy } from '../support/caddy.ts';
import { startValkey, VALKEY } from '../support/valkey-server.ts';
import { run } from './bunkhouse.ts';

// Each command is a process that starts from nothing, many of them on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const SETTINGS = { DATA_DIR: '/data', PORT: '26480', POOL_BASE_PORT: '26481', MAX_BOTS_PER_CONTAINER: '3' };
const GIB = 1024 ** 3;
const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max processes             4096                 unlimited            processes
Max open files            1024                 65536                files
`;

/** A machine that is fit, and what is different about it in a test. */
function machine(different: Partial<Machine> = {}, env: Record<string, string> = {}): Machine {
  return {
    config: loadConfig({ ...SETTINGS, ...env }, { envFile: '/none' }).config,
    root: true,
    nodeVersion: '24.1.0',
    now: Date.UTC(2027, 0),
    readText: async (path) =>
      ({
        '/proc/meminfo': 'MemTotal: 9 kB\nMemAvailable:    4194304 kB\n',
        '/proc/self/limits': LIMITS,
        '/sys/fs/cgroup/cgroup.controllers': 'cpu memory pids\n',
        '/sys/kernel/mm/ksm/run': '0\n',
      })[path] ?? null,
    stat: async (path) => ({ mode: path === '/data' ? 0o40755 : 0o100755, uid: 0, folder: path === '/data' }),
    realPath: async (path) => path,
    canWrite: async () => true,
    freeBytes: async () => 50 * GIB,
    run: async (file, args) => {
      if (file.endsWith('python3')) return args[1]?.includes('freqtrade') ? '2026.9' : '3.12.4';
      return file.endsWith('supervisord') ? '4.3.0' : 'yes';
    },
    portFree: async () => true,
    getJson: async () => ({ error: 'refused' }),
    exchange: async () => ({ error: 'refused' }),
    ...different,
  };
}

const named = (findings: readonly Finding[], name: string): Finding | undefined =>
  findings.find((finding) => finding.name === name);

describe('doctor', () => {
  it('finds nothing wrong with a machine that is fit', async () => {
    const findings = await runChecks(machine());
    expect(findings.filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(worst(findings)).toBe('ok');
  });

  it('says what WordPress sites lack where they are the default', async () => {
    const stat: Machine['stat'] = async (path) =>
      path === '/usr/sbin/mariadbd' ? null : { mode: 0o100755, uid: 0, folder: false };
    expect(named(await runChecks(machine({ stat })), 'wordpress')).toBeUndefined();
    const finding = named(await runChecks(machine({ stat }, { DEFAULT_TEMPLATE: 'wordpress' })), 'wordpress');
    expect(finding).toMatchObject({ level: 'fail', next: expect.stringContaining('install mariadb-server-core,') });
  });

  it.each<{ what: string; different: Partial<Machine>; name: string; level: string; next: RegExp }>([
    { what: 'an old Node', different: { nodeVersion: '20.1.0' }, name: 'node', level: 'fail', next: /scripts\/up/ },
    { what: 'no venv', different: { run: async () => null }, name: 'python', level: 'fail', next: /scripts\/up/ },
    {
      what: 'no supervisord',
      different: { run: async () => null },
      name: 'supervisord',
      level: 'fail',
      next: /SUPERVISORD/,
    },
    { what: 'an old Python', different: { run: async () => '3.9.2' }, name: 'python', level: 'fail', next: /3\.11/ },
    {
      what: 'a Python that users of bots cannot reach',
      different: {
        realPath: async () => '/root/py/bin/python3',
        stat: async (path) => ({ mode: path === '/root' ? 0o40700 : 0o40755, uid: 0, folder: true }),
      },
      name: 'python',
      level: 'fail',
      next: /chmod o\+x \/root/,
    },
    {
      what: 'no FreqTrade',
      different: { stat: async (path) => (path === '/data' ? { mode: 0o40755, uid: 0, folder: true } : null) },
      name: 'freqtrade',
      level: 'warn',
      next: /--demo/,
    },
    {
      what: 'a data folder that cannot be written',
      different: { canWrite: async () => false },
      name: 'data folder',
      level: 'fail',
      next: /DATA_DIR/,
    },
    {
      what: 'a data folder closed to users of bots',
      different: { stat: async () => ({ mode: 0o40700, uid: 0, folder: true }) },
      name: 'data folder',
      level: 'fail',
      next: /chmod o\+x \/data/,
    },
    {
      what: 'a data folder others can write',
      different: { stat: async () => ({ mode: 0o40777, uid: 0, folder: true }) },
      name: 'data folder',
      level: 'fail',
      next: /chmod go-w/,
    },
    { what: 'a full disk', different: { freeBytes: async () => GIB / 2 }, name: 'disk', level: 'fail', next: /1 GiB/ },
    {
      what: 'a disk that fills up',
      different: { freeBytes: async () => 2 * GIB },
      name: 'disk',
      level: 'warn',
      next: /5 GiB/,
    },
    {
      what: 'a taken API port',
      different: { portFree: async () => false },
      name: 'API port',
      level: 'fail',
      next: /PORT/,
    },
    {
      what: 'taken bot ports',
      different: { portFree: async (_, port) => port !== 26482 },
      name: 'bot ports',
      level: 'warn',
      next: /POOL_BASE_PORT/,
    },
    { what: 'no root', different: { root: false }, name: 'users', level: 'warn', next: /root/ },
    {
      what: 'low limits',
      different: { readText: async (path) => (path === '/proc/self/limits' ? LIMITS.replace('65536', '1024 ') : null) },
      name: 'limits',
      level: 'warn',
      next: /4096/,
    },
    { what: 'a clock of the past', different: { now: 0 }, name: 'clock', level: 'fail', next: /exchanges/ },
  ])('says what to do about $what', async ({ different, name, level, next }) => {
    const finding = named(await runChecks(machine(different)), name);
    expect(finding).toMatchObject({ level, next: expect.stringMatching(next) });
  });

  it('takes ports that a running supervisor has for fine', async () => {
    const findings = await runChecks(
      machine({ portFree: async () => false, getJson: async () => ({ json: { ready: true } }) }),
    );
    expect(named(findings, 'API port')?.level).toBe('ok');
    expect(named(findings, 'bot ports')?.level).toBe('ok');
  });

  it('asks for a Docker engine of 20.10 or later instead of Python where the driver is Docker', async () => {
    const docker = { POOL_DRIVER: 'docker', DOCKER_HOST: 'unix:///some.sock' };
    const none = await runChecks(machine({}, docker));
    expect(named(none, 'docker')).toMatchObject({ level: 'fail', found: expect.stringContaining('unix:///some.sock') });
    expect(named(none, 'python')).toBeUndefined();
    const version = (api: string) => async (url: string, socket?: string) =>
      url === 'http://docker/version' && socket === '/some.sock'
        ? { json: { Version: 'x', ApiVersion: api } }
        : { error: 'refused' };
    expect(named(await runChecks(machine({ getJson: version('1.41') }, docker)), 'docker')?.level).toBe('ok');
    expect(named(await runChecks(machine({ getJson: version('1.40') }, docker)), 'docker')?.level).toBe('fail');
    const two = { ...docker, LOCATIONS: 'weur,enam=unix:///other.sock' };
    expect(named(await runChecks(machine({ getJson: version('1.41') }, two)), 'docker')).toMatchObject({
      level: 'fail',
      found: expect.stringContaining('no engine answers at unix:///other.sock (location enam)'),
    });
  });

  it('says when the server of the state does not answer, or its password cannot be read', async () => {
    const env = { STATE_URL: 'valkey://:hunter2@db.example:7000' };
    expect(named(await runChecks(machine({}, env)), 'state')).toMatchObject({
      level: 'fail',
      found: expect.stringContaining('db.example:7000'),
    });
    const file = { STATE_URL: 'valkey://db.example?passwordFile=/run/secret' };
    expect(named(await runChecks(machine({}, file)), 'state')?.found).toContain('/run/secret');
    expect(named(await runChecks(machine()), 'state')).toBeUndefined();
  });

  it.skipIf(VALKEY === null).each<[string, string[], string, string, RegExp]>([
    ['that keeps every commit', [], '', 'ok', /keeps every commit/],
    ['that may lose some', ['--appendfsync', 'everysec'], '', 'warn', /appendfsync everysec/],
    ['that says nothing about it', ['--rename-command', 'CONFIG', ''], '', 'warn', /does not tell/],
    ['with a password', ['--requirepass', 'hunter2'], ':hunter2@', 'ok', /keeps every commit/],
    ['with another password', ['--requirepass', 'hunter2'], ':hunter3@', 'fail', /WRONGPASS/],
    ['with a password, without one', ['--requirepass', 'hunter2'], '', 'fail', /NOAUTH/],
  ])('asks a server of the state %s', async (_, options, login, level, found) => {
    const server = await startValkey(...options);
    try {
      const env = { STATE_URL: `valkey://${login}127.0.0.1:${server.port}` };
      const { exchange } = createMachine(loadConfig({}, { envFile: '/none' }).config, 0);
      const finding = named(await runChecks(machine({ exchange }, env)), 'state');
      expect(finding).toMatchObject({ level, found: expect.stringMatching(found) });
      expect(JSON.stringify(finding)).not.toMatch(/hunter/);
    } finally {
      await server.dispose();
    }
  });

  it.each<[string, Record<string, string>, unknown, string, RegExp]>([
    ['does not answer', {}, null, 'fail', /no Caddy answers at http:\/\/127\.0\.0\.1:2019/],
    ['refuses us', {}, { error: 'host not allowed' }, 'fail', /host not allowed/],
    ['listens at all addresses', {}, { listen: ':2019' }, 'fail', /where others may reach it/],
    ['listens at another address', {}, { listen: '10.0.0.1:2019' }, 'fail', /where others may reach it/],
    ['listens at loopback, beside bots', {}, { listen: 'localhost:2019' }, 'warn', /bots on this machine/],
    ['listens at loopback, as by default', { POOL_DRIVER: 'docker' }, {}, 'ok', /^Caddy v2\.8\.4 h1:x answers/],
    ['listens at a socket', { CADDY_ADMIN: 'unix:///run/c.sock' }, { listen: 'unix//run/c.sock' }, 'ok', /c\.sock/],
    ['has no names to serve', { BASE_DOMAIN: '' }, {}, 'warn', /does nothing without BASE_DOMAIN/],
  ])('says when Caddy %s', async (_, different, admin, level, found) => {
    const env = { BASE_DOMAIN: 'bots.example', CADDY_ADMIN: 'http://127.0.0.1:2019', ...different };
    const getJson: Machine['getJson'] = async (url) =>
      url.endsWith('/config/admin') && admin !== null
        ? { json: admin as Record<string, unknown> }
        : { error: 'refused' };
    const base = machine();
    const run: Machine['run'] = async (file, args) => (file === 'caddy' ? 'v2.8.4 h1:x' : base.run(file, args));
    expect(named(await runChecks(machine({ getJson, run }, env)), 'front')).toMatchObject({
      level,
      found: expect.stringMatching(found),
    });
    expect(named(await runChecks(machine({ getJson, run: async () => '2.4.6' }, { ...env })), 'front')?.level).toMatch(
      /fail|warn/,
    );
  });

  it.skipIf(!CADDY)('asks a real Caddy over TCP and a Unix socket', async () => {
    for (const socket of [false, true]) {
      const caddy = await startCaddy(() => ({}), socket);
      try {
        const env = { BASE_DOMAIN: 'bots.example', CADDY_ADMIN: caddy.admin };
        const { getJson, run } = createMachine(loadConfig({}, { envFile: '/none' }).config, 0);
        expect(named(await runChecks(machine({ getJson, run }, env)), 'front')).toMatchObject({
          level: socket ? 'ok' : 'warn',
          found: expect.stringMatching(/^Caddy v?2\.\d+.* answers at /),
        });
      } finally {
        await caddy.dispose();
      }
    }
  });

  it('looks at a real machine without throwing, and sees a port that is taken', async () => {
    const stranger = createServer((_, response) => response.end('{}'));
    await new Promise<void>((done) => stranger.listen(26_480, '127.0.0.1', done));
    try {
      const real = createMachine(
        loadConfig({ ...SETTINGS, DATA_DIR: '/nonexistent/data' }, { envFile: '/none' }).config,
        Date.now(),
      );
      const findings = await runChecks(real);
      expect(findings.length).toBeGreaterThan(10);
      expect(named(findings, 'API port')).toMatchObject({ level: 'fail' });
      expect(named(findings, 'bot ports')).toMatchObject({ level: 'ok' });
    } finally {
      stranger.closeAllConnections();
      await new Promise((done) => stranger.close(done));
    }
  });

  it('ends with 1 when something must be done, and prints the same as JSON', async () => {
    const env = { ...SETTINGS, DATA_DIR: '/nonexistent' };
    const { code, out } = await run(['doctor'], env);
    expect(code).toBe(1);
    expect(out).toMatch(
      /^fail {2}supervisord +no supervisord at \/nonexistent\/venv\/bin\/supervisord\n {22}Run scripts\/up/m,
    );
    const json = JSON.parse((await run(['doctor', '--json'], env)).out) as { level: string; checks: Finding[] };
    expect(json.level).toBe('fail');
    expect(named(json.checks, 'supervisord')?.level).toBe('fail');
  });

  it('says which settings are wrong before it looks at anything else', async () => {
    const { code, out } = await run(['doctor', '--json'], { PORT: 'x' });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      checks: [{ name: 'settings', found: expect.stringContaining('PORT = "x"') }],
    });
  });
});
