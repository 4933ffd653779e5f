import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Environment, type LoadedConfig, loadConfig } from '../../lib/config/config.ts';
import { ROWS } from '../../lib/config/settings.ts';
import { BunkhouseError } from '../../lib/domain/errors.ts';

let folder: string;
let envFile: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-config-'));
  envFile = join(folder, '.env');
});

afterEach(() => rmSync(folder, { recursive: true }));

const load = (env: Environment, root = true): LoadedConfig => loadConfig(env, { envFile, root });

function problems(env: Environment): string[] {
  try {
    load(env);
  } catch (error) {
    if (error instanceof BunkhouseError && error.code === 'INVALID') return error.message.split('\n').slice(1);
    throw error;
  }
  throw new Error('it was accepted');
}

describe('configuration', () => {
  it('has a default for every setting', () => {
    expect(load({})).toEqual({
      warnings: [],
      config: {
        dataDir: '/var/lib/bunkhouse',
        host: '127.0.0.1',
        port: 4000,
        baseDomain: null,
        httpsPort: null,
        caddyAdmin: null,
        acmeDirectory: null,
        acmeEmail: null,
        acmeCaFile: null,
        trustedProxies: ['127.0.0.0/8', '::1'],
        poolModeEnabled: true,
        driver: 'process',
        maxBotsPerContainer: 10,
        poolBasePort: 9000,
        poolTargetSize: 10,
        poolMinSize: 3,
        poolMaxSize: 1000,
        poolBatchSize: 10,
        poolBatchSpacingSeconds: 10,
        consolidateMovesPerHour: 0,
        rateLimitHourly: null,
        rateLimitDaily: null,
        healthCheckIntervalMs: 30_000,
        defaultTemplate: 'freqtrade',
        templateDir: '/var/lib/bunkhouse/templates',
        compatSiteTemplate: null,
        compatContainerTemplate: null,
        compatDemoTemplate: null,
        compatDemoAdminPath: '',
        compatPublic: new Map(),
        location: null,
        locations: new Map(),
        poolLocationTargets: new Map(),
        instanceName: 'bunkhouse',
        stateUrl: { kind: 'file', path: '/var/lib/bunkhouse/state/state.json' },
        stopOnExit: false,
        adminTokenFile: '/var/lib/bunkhouse/state/admin-token',
        maxBodyBytes: 4_194_304,
        metricsPerBot: true,
        logLevel: 'info',
        backupUrl: { kind: 'folder', path: '/var/lib/bunkhouse/backups' },
        backupSchedule: null,
        backupSpreadMinutes: 60,
        archiveKeepDays: 365,
        backupKeep: { last: 3, daily: 7, weekly: 4 },
        backupParallel: 2,
        containerMemoryBytes: null,
        containerCpus: null,
        containerPids: null,
        dockerHost: 'unix:///var/run/docker.sock',
        supervisord: '/var/lib/bunkhouse/venv/bin/supervisord',
        botPath: '/var/lib/bunkhouse/venv/bin:/usr/local/bin:/usr/bin:/bin',
        uidBase: 100_000,
      },
    });
  });

  it.each([
    [{ HOME: '/home/a' }, '/home/a/.local/state/bunkhouse'],
    [{ HOME: '/home/a', XDG_STATE_HOME: '/state' }, '/state/bunkhouse'],
    [{ HOME: '/home/a', XDG_STATE_HOME: 'relative' }, '/home/a/.local/state/bunkhouse'],
    [{ HOME: '/home/a', DATA_DIR: '/srv/b' }, '/srv/b'],
    [{ HOME: '/home/a', BUNKHOUSE_DATA_DIR: '/srv/c' }, '/srv/c'],
  ])('puts everything below the data folder of a user without privilege: %j', (env, dataDir) => {
    const { config } = load(env, false);
    expect(config.dataDir).toBe(dataDir);
    expect(config.stateUrl).toEqual({ kind: 'file', path: `${dataDir}/state/state.json` });
    expect(config.supervisord).toBe(`${dataDir}/venv/bin/supervisord`);
  });

  it.each([
    [{ POOL_MODE_ENABLED: 'false' }, { poolModeEnabled: false }],
    [{ MAX_BOTS_PER_CONTAINER: ' 25 ' }, { maxBotsPerContainer: 25 }],
    [{ CONTAINER_MEMORY: '1.5GiB' }, { containerMemoryBytes: 1_610_612_736 }],
    [
      { CONTAINER_CPUS: '0.5', CONTAINER_PIDS: '500' },
      { containerCpus: 0.5, containerPids: 500 },
    ],
    [{ UID_BASE: '' }, { uidBase: null }],
    [{ STATE_URL: 'file:///srv/a b/%41#.json' }, { stateUrl: { kind: 'file', path: '/srv/a b/%41#.json' } }],
    [{ STATE_URL: 'file:/srv/s.json' }, { stateUrl: { kind: 'file', path: '/srv/s.json' } }],
    [
      { STATE_URL: 'valkey://db.example' },
      {
        stateUrl: {
          kind: 'valkey',
          host: 'db.example',
          port: 6379,
          tls: false,
          db: 0,
          prefix: 'bunkhouse',
          username: null,
          password: null,
          passwordFile: null,
          leaseMs: 10_000,
        },
      },
    ],
    [
      { STATE_URL: 'rediss://me:p%40ss@[::1]:7000/3?prefix=two&lease=30&passwordFile=/run/secret' },
      {
        stateUrl: {
          host: '::1',
          port: 7000,
          tls: true,
          db: 3,
          prefix: 'two',
          username: 'me',
          password: 'p@ss',
          passwordFile: '/run/secret',
          leaseMs: 30_000,
        },
      },
    ],
    [{ DOCKER_HOST: 'tcp://127.0.0.1:2375' }, { dockerHost: 'tcp://127.0.0.1:2375' }],
    [
      { HOST: '::', BUNKHOUSE_PORT: '80' },
      { host: '::', port: 80 },
    ],
    [{ PORT: '80', BUNKHOUSE_PORT: '80' }, { port: 80 }],
  ])('takes %j', (env, expected) => {
    expect(load(env).config).toMatchObject(expected);
  });

  it.each([
    ['POOL_MODE_ENABLED', 'yes', '`true` or `false`'],
    ['MAX_BOTS_PER_CONTAINER', '0', 'a whole number from 1 to 100'],
    ['MAX_BOTS_PER_CONTAINER', '101', 'a whole number from 1 to 100'],
    ['MAX_BOTS_PER_CONTAINER', '1e1', 'a whole number from 1 to 100'],
    ['POOL_BASE_PORT', '80', 'a whole number from 1024 to 65535'],
    ['POOL_DRIVER', 'podman', 'one of `process`, `docker`, `memory`'],
    ['HEALTH_CHECK_INTERVAL', '30s', 'a whole number from 100 to 86400000'],
    ['PORT', '', 'a whole number from 1 to 65535'],
    ['HOST', 'a b', 'an address such as'],
    ['DATA_DIR', 'relative', 'an absolute path'],
    ['INSTANCE_NAME', 'My', '1 to 31 lower-case letters'],
    ['CONTAINER_MEMORY', '4G', 'a size such as 512MiB'],
    ['CONTAINER_MEMORY', '0B', 'a size such as 512MiB'],
    ['CONTAINER_CPUS', '0', 'a number above 0'],
    ['BOT_PATH', '/bin:bin', 'absolute paths with `:`'],
    ['DOCKER_HOST', 'ssh://a', '`unix:///path/to/socket`'],
    ['LOG_LEVEL', 'loud', 'one of `fatal`'],
  ])('refuses %s=%s and says what is allowed', (key, value, allowed) => {
    const [problem, ...others] = problems({ [key]: value });
    expect(problem).toContain(`${key} = ${JSON.stringify(value)} (environment): allowed is ${allowed}`);
    expect(others).toEqual([]);
  });

  it('lists all problems at once, with where each comes from', () => {
    writeFileSync(envFile, 'PORT=x\nLOG_LEVEL=loud\n');
    const found = problems({ PORT: 'y', POOL_DRIVER: 'z' });
    expect(found).toHaveLength(3);
    expect(found[0]).toContain('PORT = "y" (environment)');
    expect(found[2]).toContain(`LOG_LEVEL = "loud" (${envFile})`);
  });

  it('never shows the value of a setting that may hold a password', () => {
    const [problem] = problems({ STATE_URL: 'valkey://:hunter2@db?prefx=a' });
    expect(problem).toContain('STATE_URL = (not shown)');
    expect(problem).not.toContain('hunter2');
  });

  it.each([
    'file:relative',
    'valkey:db',
    'valkey:///1',
    'valkey://db/x',
    'valkey://db:0',
    'valkey://db?prefix=a:b',
    'valkey://db?prefx=a',
    'valkey://db?lease=0',
    'valkey://db?lease=1e3',
    'valkey://db?passwordFile=secret',
    'valkey://db?host=other&port=1',
    'valkey://db#x',
    'http://db',
  ])('refuses STATE_URL=%s', (STATE_URL) => {
    expect(problems({ STATE_URL })).toHaveLength(1);
  });

  it('refuses two names of one setting that differ', () => {
    expect(problems({ PORT: '1', BUNKHOUSE_PORT: '2' })).toEqual([
      '  PORT and BUNKHOUSE_PORT are the same setting but differ: set one of them',
    ]);
  });

  it('reads the .env file, but the environment wins, by whichever name', () => {
    writeFileSync(envFile, '# mine\nPORT=5000\nHOST="::1"\n');
    expect(load({}).config).toMatchObject({ port: 5000, host: '::1' });
    expect(load({ BUNKHOUSE_PORT: '6000' }).config).toMatchObject({ port: 6000, host: '::1' });
  });

  it('warns of settings nobody knows and names the one that may be meant', () => {
    writeFileSync(envFile, 'POOL_ZEBRA_COLOUR=1\n');
    const { warnings } = load({ POOL_BASEPORT: '9000', UNRELATED: '1', BUNKHOUSE_URL: 'http://localhost:4000' });
    expect(warnings).toEqual([
      'POOL_BASEPORT (environment) is no setting and is ignored; did you mean POOL_BASE_PORT?',
      `POOL_ZEBRA_COLOUR (${envFile}) is no setting and is ignored`,
    ]);
  });

  it('knows each name once', () => {
    const names = ROWS.flatMap(([, { key, aliases = [] }]) => [key, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
  });
});
