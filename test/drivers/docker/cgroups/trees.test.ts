import { describe, expect, it } from 'vitest';
import { containerPath, pathIn, type Tree, treesOf } from '../../../../lib/drivers/docker/cgroups/trees.ts';

const ID = 'c582d691edd97a8490ee94f6a5d1adcd9c681adf1b361b3672ebdd998c63f88b';

const mount = (root: string, point: string, rest: string, flags = 'rw,relatime'): string =>
  `35 31 0:32 ${root} ${point} ${flags} shared:9 - ${rest}`;
const V1 = [
  mount('/', '/', 'ext4 /dev/vda rw'),
  mount('/', '/sys/fs/cgroup', 'tmpfs tmpfs rw,mode=755'),
  mount('/', '/sys/fs/cgroup/cpu,cpuacct', 'cgroup cgroup rw,cpu,cpuacct'),
  mount('/', '/sys/fs/cgroup/memory', 'cgroup cgroup rw,memory'),
  mount('/', '/sys/fs/cgroup/pids', 'cgroup cgroup rw,pids'),
  mount('/', '/sys/fs/cgroup/systemd', 'cgroup cgroup rw,name=systemd'),
];
const UNIFIED = mount('/', '/sys/fs/cgroup/unified', 'cgroup2 cgroup2 rw');
const V2 = mount('/', '/sys/fs/cgroup', 'cgroup2 cgroup rw,nsdelegate');

const memory: Tree = { version: 1, mount: '/sys/fs/cgroup/memory', controllers: ['memory'] };
const cpu: Tree = { version: 1, mount: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu'] };
const pids: Tree = { version: 1, mount: '/sys/fs/cgroup/pids', controllers: ['pids'] };
const unified: Tree = { version: 2, mount: '/sys/fs/cgroup', controllers: ['memory', 'cpu', 'pids'] };

describe('the cgroups of a machine', () => {
  it.each([
    ['version 1, one tree a controller', V1, [cpu, memory, pids]],
    ['both versions: the first keeps the limits', [UNIFIED, ...V1], [cpu, memory, pids]],
    ['version 2, one tree', [V2], [unified]],
    [
      'a controller mounted twice counts once',
      [...V1, mount('/', '/elsewhere', 'cgroup cgroup rw,memory')],
      [cpu, memory, pids],
    ],
    [
      'two controllers in one mount',
      [mount('/', '/both', 'cgroup cgroup rw,memory,cpu')],
      [{ version: 1, mount: '/both', controllers: ['memory', 'cpu'] }],
    ],
  ])('are %s', (_, lines, trees) => {
    expect(treesOf(lines.join('\n'))).toEqual({ kind: 'trees', trees });
  });

  it.each([
    ['none', [mount('/', '/', 'ext4 /dev/vda rw')], /no cgroups on this machine/],
    [
      'read-only, as containers get them',
      [mount('/', '/sys/fs/cgroup', 'cgroup2 cgroup rw', 'ro,nosuid')],
      /in a container/,
    ],
    [
      'a part of the whole',
      [mount(`/docker/${ID}`, '/sys/fs/cgroup/memory', 'cgroup cgroup rw,memory')],
      /in a container/,
    ],
  ])('are not to be used: %s', (_, lines, reason) => {
    expect(treesOf(lines.join('\n'))).toEqual({ kind: 'none', reason: expect.stringMatching(reason) });
  });
});

describe('where a process is', () => {
  const cgroups = `9:name=systemd:/\n5:cpu,cpuacct:/docker/${ID}\n4:memory:/docker/${ID}/slot-3\n0::/odd:name\n`;

  it('is told for each tree', () => {
    expect(pathIn(memory, cgroups)).toBe(`/docker/${ID}/slot-3`);
    expect(pathIn(cpu, cgroups)).toBe(`/docker/${ID}`);
    expect(pathIn(unified, cgroups)).toBe('/odd:name');
    expect(pathIn(pids, cgroups)).toBeNull();
  });

  it.each([
    ['by Docker itself', `/docker/${ID}`, `/docker/${ID}`],
    ['by systemd', `/system.slice/docker-${ID}.scope`, `/system.slice/docker-${ID}.scope`],
    ['below a parent of somebody’s choice', `/mine/${ID}`, `/mine/${ID}`],
    ['deeper than the container', `/docker/${ID}/bunkhouse-main`, `/docker/${ID}`],
    ['in another container', `/docker/${'0'.repeat(64)}`, null],
    ['in no container', '/', null],
    ['above what we see', `/../${ID}`, null],
  ])('belongs to a container placed %s', (_, path, expected) => {
    expect(containerPath(unified, `0::${path}\n`, ID)).toBe(expected);
  });
});
