import { describe, expect, it } from 'vitest';
import { checkCgroups } from '../../lib/cli/doctor/cgroups.ts';
import type { Finding } from '../../lib/cli/doctor/finding.ts';
import type { Machine } from '../../lib/cli/doctor/machine.ts';
import { loadConfig } from '../../lib/config/config.ts';

interface Facts {
  readonly driver: 'process' | 'docker' | 'memory';
  readonly root: boolean;
  /** Of cgroups: 0 is none. */
  readonly version: 0 | 1 | 2;
  readonly writable: boolean;
  readonly engine: { readonly api: string; readonly cgroups: string; readonly kernel: string } | null;
}

/** Of the machine only what the check may look at: anything else would throw. */
function find(facts: Partial<Facts>): Promise<Finding | null> | Finding | null {
  const { driver, root, version, writable, engine }: Facts = {
    driver: 'docker',
    root: true,
    version: 1,
    writable: true,
    engine: { api: '1.41', cgroups: '1', kernel: '6.1.0' },
    ...facts,
  };
  const folder = version === 1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
  const files: Record<string, string> = { '/proc/sys/kernel/osrelease': '6.1.0\n' };
  if (version === 2) files['/sys/fs/cgroup/cgroup.controllers'] = 'cpu memory pids\n';
  const answers: Record<string, object> = {
    'http://docker/version': { ApiVersion: engine?.api },
    'http://docker/info': { CgroupVersion: engine?.cgroups, KernelVersion: engine?.kernel },
  };
  const machine: Partial<Machine> = {
    config: loadConfig({ POOL_DRIVER: driver, DOCKER_HOST: 'unix:///some.sock' }, { envFile: '/none' }).config,
    root,
    readText: async (path) => files[path] ?? null,
    stat: async (path) => (version === 1 && path === folder ? { mode: 0o40755, uid: 0, folder: true } : null),
    canWrite: async (path) => writable && path === folder,
    getJson: async (url, socket) =>
      engine !== null && socket === '/some.sock' ? { json: { ...answers[url] } } : { error: 'refused' },
  };
  return checkCgroups(machine as Machine);
}

describe('doctor about cgroups', () => {
  it.each<{ what: string; facts: Partial<Facts>; found: RegExp }>([
    {
      what: 'version 1 on the process driver',
      facts: { driver: 'process' },
      found: /version 1: each bot gets one of its own$/,
    },
    { what: 'version 2 on the process driver', facts: { driver: 'process', version: 2 }, found: /version 2: each bot/ },
    { what: 'root beside Docker 20.10', facts: {}, found: /version 1: .* from outside/ },
    {
      what: 'Docker 28 with version 2, for whoever',
      facts: { root: false, version: 2, engine: { api: '1.48', cgroups: '2', kernel: 'another' } },
      found: /made inside its container/,
    },
    {
      what: 'root beside an older Docker with version 2',
      facts: { version: 2, engine: { api: '1.47', cgroups: '2', kernel: '6.1.0' } },
      found: /version 2: .* from outside/,
    },
    { what: 'root where no engine answers yet', facts: { engine: null }, found: /from outside/ },
  ])('is content with $what', async ({ facts, found }) => {
    expect(await find(facts)).toMatchObject({
      name: 'control groups',
      level: 'ok',
      found: expect.stringMatching(found),
    });
  });

  it.each<{ what: string; facts: Partial<Facts>; found: RegExp; next: RegExp }>([
    { what: 'no root', facts: { driver: 'process', root: false }, found: /only root/, next: /as root.*rlimits/ },
    {
      what: 'read-only ones',
      facts: { driver: 'process', writable: false },
      found: /cannot be written/,
      next: /itself/,
    },
    { what: 'none', facts: { driver: 'process', version: 0 }, found: /none/, next: /Mount/ },
    { what: 'no root beside Docker', facts: { root: false }, found: /only root/, next: /as root, or use Docker 28/ },
    {
      what: 'a supervisor in a container',
      facts: { writable: false },
      found: /cannot be written/,
      next: /not in a container/,
    },
    { what: 'none beside Docker', facts: { version: 0 }, found: /none/, next: /Mount/ },
    {
      what: 'an engine elsewhere',
      facts: { engine: { api: '1.41', cgroups: '1', kernel: '5.15.0' } },
      found: /another machine/,
      next: /supervisor there/,
    },
    {
      what: 'Docker 28 with version 1, without root',
      facts: { root: false, engine: { api: '1.48', cgroups: '1', kernel: '6.1.0' } },
      found: /only root/,
      next: /version 2/,
    },
  ])('warns of $what, and says what it means and what to do', async ({ facts, found, next }) => {
    expect(await find(facts)).toMatchObject({
      name: 'control groups',
      level: 'warn',
      found: expect.stringMatching(found),
      next: expect.stringMatching(next),
    });
  });

  it('does not matter for make-believe containers', async () => {
    expect(await find({ driver: 'memory' })).toBeNull();
  });
});
