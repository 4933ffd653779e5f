import { describe, expect, it } from 'vitest';
import type { ContainerRecord } from '../../../lib/domain/container.ts';
import { POOL_IMAGE } from '../../../lib/drivers/docker/images.ts';
import {
  agentPort,
  containerOptions,
  networkOptions,
  passwordOf,
  supervisordConfig,
} from '../../../lib/drivers/docker/spec.ts';
import { codeOf } from '../../contract/harness.ts';

const record: ContainerRecord = {
  name: 'bh-fixture-1',
  pool: 'fixture/default/local',
  capacity: 2,
  basePort: 9000,
  generation: 7,
  image: POOL_IMAGE,
  removing: false,
  soleBot: null,
  emptying: null,
  entered: true,
  createdAt: '2026-01-01T00:00:00.000Z',
};
const limits = { memoryBytes: 2 ** 30, cpus: 1.5, processes: 200 };
const OF_INST = { installation: 'inst', writableCgroups: false };
const options = containerOptions({ record, limits }, OF_INST);
const host = options.HostConfig ?? {};

describe('what the engine is asked for', () => {
  it('carries the record in its labels', () => {
    expect(options).toMatchObject({ name: 'bh-fixture-1', Image: POOL_IMAGE });
    expect(options.Labels).toEqual({
      'bunkhouse.instance': 'inst',
      'bunkhouse.container': 'bh-fixture-1',
      'bunkhouse.pool': 'fixture/default/local',
      'bunkhouse.generation': '7',
      'bunkhouse.schema': '1',
      'bunkhouse.base-port': '9000',
      'bunkhouse.capacity': '2',
    });
  });

  it('publishes each slot on its own port and supervisord on a free one, on loopback only', () => {
    expect(host.PortBindings).toEqual({
      '9000/tcp': [{ HostIp: '127.0.0.1', HostPort: '9000' }],
      '9001/tcp': [{ HostIp: '127.0.0.1', HostPort: '9001' }],
      '9002/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }],
    });
    expect(Object.keys(options.ExposedPorts ?? {})).toEqual(Object.keys(host.PortBindings));
  });

  it('keeps its data in a named volume of its own', () => {
    expect(host.Mounts).toEqual([
      {
        Type: 'volume',
        Source: 'bh-fixture-1-data',
        Target: '/var/lib/bunkhouse',
        ReadOnly: false,
        VolumeOptions: {
          NoCopy: true,
          Labels: { 'bunkhouse.instance': 'inst', 'bunkhouse.container': 'bh-fixture-1' },
          DriverConfig: { Name: 'local', Options: {} },
        },
      },
    ]);
  });

  it('limits memory without swap, processors and processes', () => {
    expect(host).toMatchObject({ Memory: 2 ** 30, MemorySwap: 2 ** 30, NanoCpus: 1_500_000_000, PidsLimit: 200 });
  });

  it('leaves out the limits that are none', () => {
    const free = containerOptions({ record, limits: { memoryBytes: null, cpus: null, processes: null } }, OF_INST);
    for (const name of ['Memory', 'MemorySwap', 'NanoCpus', 'PidsLimit'])
      expect(free.HostConfig).not.toHaveProperty(name);
  });

  it('gives no more rights than supervisord needs', () => {
    expect(host).toMatchObject({ CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'] });
    expect(host.CapAdd).toEqual(['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID']);
    expect(host.Privileged).toBeUndefined();
    expect(host.Binds).toBeUndefined();
    expect(host).not.toHaveProperty('CgroupnsMode');
  });

  it('lets it write cgroups where the engine can, and then only its own', () => {
    const { HostConfig } = containerOptions({ record, limits }, { ...OF_INST, writableCgroups: true });
    expect(HostConfig).toEqual({
      ...host,
      SecurityOpt: ['no-new-privileges', 'writable-cgroups=true'],
      CgroupnsMode: 'private',
    });
  });

  it('comes back by itself unless stopped, and bounds its log', () => {
    expect(host.RestartPolicy).toEqual({ Name: 'unless-stopped' });
    expect(host.LogConfig).toEqual({ Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } });
  });

  it('lets containers of a network not reach each other', () => {
    expect(host.NetworkMode).toBe('bunkhouse-inst');
    expect(networkOptions('inst')).toMatchObject({
      Name: 'bunkhouse-inst',
      Labels: { 'bunkhouse.instance': 'inst' },
      Options: { 'com.docker.network.bridge.enable_icc': 'false' },
    });
  });

  it('has no password anywhere that inspection shows', () => {
    expect(options.Env).toBeUndefined();
    expect(options.Cmd).toBeUndefined();
  });

  it('is UNSUPPORTED without an image', async () => {
    const bare = { record: { ...record, image: null }, limits };
    expect(await codeOf(Promise.resolve().then(() => containerOptions(bare, OF_INST)))).toBe('UNSUPPORTED');
  });
});

describe('the port of supervisord', () => {
  it.each([
    [9000, 10, 9010],
    [65_526, 10, 65_525],
    [1024, 1, 1025],
  ])('for %i and %i slots is %i, outside the range', (basePort, capacity, port) => {
    expect(agentPort({ basePort, capacity })).toBe(port);
  });
});

describe('supervisord.conf', () => {
  it('holds a password that can be read back', () => {
    const text = supervisordConfig(record, 'a_B-9');
    expect(passwordOf(text)).toBe('a_B-9');
    expect(text).toContain('port = 0.0.0.0:9002');
    expect(text).toContain('directory = /var/lib/bunkhouse');
    expect(text).toContain('uid_base = 1000000');
  });

  it('without a password says so', () => {
    expect(passwordOf('[supervisord]\nnodaemon = true\n')).toBeNull();
    expect(passwordOf('')).toBeNull();
  });
});
