import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { engineAddress } from '../../../lib/drivers/docker/address.ts';
import { capabilitiesOf, writableCgroups } from '../../../lib/drivers/docker/capabilities.ts';
import type { Tree, Trees } from '../../../lib/drivers/docker/cgroups/trees.ts';
import { DockerDriver } from '../../../lib/drivers/docker/docker-driver.ts';
import type { EngineFacts } from '../../../lib/drivers/docker/engine.ts';
import { POOL_IMAGE } from '../../../lib/drivers/docker/images.ts';
import { systemClock as clock } from '../../../lib/util/clock.ts';
import { silentLogger as log } from '../../../lib/util/logger.ts';
import { codeOf, specOf } from '../../contract/harness.ts';
import { makeTempDir, removeDir } from '../../support/temp-dir.ts';

const record = {
  name: 'bh-nowhere-1',
  pool: 'a/b/c',
  capacity: 1,
  basePort: 23_990,
  generation: 1,
  image: POOL_IMAGE,
  removing: false,
  soleBot: null,
  emptying: null,
  entered: true,
  createdAt: '2026-01-01T00:00:00.000Z',
};

describe('where no engine is', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await makeTempDir();
  });
  afterEach(() => removeDir(folder));

  it('every method says DRIVER_UNAVAILABLE and what to do', async () => {
    const dockerHost = `unix://${join(folder, 'nobody.sock')}`;
    const driver = new DockerDriver({ installation: 'nowhere', dockerHost, clock, log });
    const calls = [
      driver.capabilities(),
      driver.list(),
      driver.create(specOf(record)),
      driver.start(record.name),
      driver.stop(record.name, 1),
      driver.remove(record.name),
      driver.connect(record.name),
    ];
    expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => 'DRIVER_UNAVAILABLE'));
    await expect(driver.list()).rejects.toThrow(/start Docker, or set DOCKER_HOST/);
    await driver.close();
  });

  it('says so too for a TCP port that nobody listens on', async () => {
    const driver = new DockerDriver({ installation: 'nowhere', dockerHost: 'tcp://127.0.0.1:1', clock, log });
    expect(await codeOf(driver.list())).toBe('DRIVER_UNAVAILABLE');
  });

  it('watching goes on quietly, and ends with the signal', async () => {
    const dockerHost = `unix://${join(folder, 'nobody.sock')}`;
    const driver = new DockerDriver({ installation: 'nowhere', dockerHost, clock, log });
    const abort = new AbortController();
    driver.watch(() => expect.unreachable(), abort.signal);
    await clock.sleep(50);
    abort.abort();
    await driver.close();
  });

  it('does not take something else that answers for an engine', async () => {
    const server = createServer((_, response) => response.writeHead(200).end('hello')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const driver = new DockerDriver({ installation: 'nowhere', dockerHost: `tcp://127.0.0.1:${port}`, clock, log });
      expect(await codeOf(driver.capabilities())).toBe('DRIVER_UNAVAILABLE');
      expect(await codeOf(driver.list())).toBe('DRIVER_UNAVAILABLE');
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe('DOCKER_HOST', () => {
  it.each([
    ['unix:///run/user/1000/docker.sock', { socketPath: '/run/user/1000/docker.sock', host: undefined }],
    ['tcp://127.0.0.1:2375', { host: '127.0.0.1', port: '2375' }],
    ['tcp://localhost', { host: 'localhost', port: '2375' }],
    ['tcp://[::1]:99', { host: '::1', port: '99' }],
  ])('%s is understood', (text, address) => {
    expect(engineAddress(text)).toMatchObject(address);
  });

  it.each([
    'tcp://10.0.0.7:2375',
    'ssh://root@elsewhere',
    'http://127.0.0.1:2375',
    'unix://relative.sock',
    '/var/run/docker.sock',
    '',
  ])('"%s" is refused, because bots there could not be reached', async (text) => {
    expect(await codeOf(Promise.resolve().then(() => engineAddress(text)))).toBe('DRIVER_UNAVAILABLE');
  });
});

describe('an engine', () => {
  const facts: EngineFacts = {
    apiVersion: '1.41',
    system: 'linux',
    security: ['name=seccomp,profile=default'],
    missingLimits: [],
    kernel: '6.1.0',
    cgroupVersion: '1',
  };
  const none: Trees = { kind: 'none', reason: 'the supervisor is not root' };
  const notes = (change: Partial<EngineFacts>, outside: Trees): string =>
    capabilitiesOf({ ...facts, ...change }, outside).notes.join('\n');

  it('of Docker 20.10 or later is fit', () => {
    for (const apiVersion of ['1.41', '1.50', '1.100', '2.0']) {
      expect(capabilitiesOf({ ...facts, apiVersion }, none)).toMatchObject({ driver: 'docker', images: true });
    }
  });

  it.each([
    [{ apiVersion: '1.40' }, /Docker 20\.10/],
    [{ apiVersion: '1.9' }, /Docker 20\.10/],
    [{ system: 'windows' }, /Linux containers/],
    [{ security: ['name=rootless'] }, /POOL_DRIVER=process/],
    [{ security: ['name=userns'] }, /POOL_DRIVER=process/],
  ])('like %j is refused with advice', (change, advice) => {
    expect(() => capabilitiesOf({ ...facts, ...change }, none)).toThrow(advice);
  });

  it('that cannot limit something says so', () => {
    expect(notes({ missingLimits: ['memory'] }, none)).toContain('cannot limit memory');
  });

  it.each([
    ['1.47', '2', false],
    ['1.48', '2', true],
    ['1.100', '2', true],
    ['1.48', '1', false],
  ])(
    'of API %s with cgroups of version %s is asked to let containers write theirs: %s',
    (apiVersion, cgroupVersion, asked) => {
      expect(writableCgroups({ ...facts, apiVersion, cgroupVersion })).toBe(asked);
      expect(notes({ apiVersion, cgroupVersion }, none).includes('made inside its container')).toBe(asked);
    },
  );

  it('tells who makes cgroups for bots, or why nobody does', () => {
    const memory: Tree = { version: 1, mount: '/m', controllers: ['memory'] };
    const trees: Trees = { kind: 'trees', trees: [memory, { version: 1, mount: '/c', controllers: ['cpu'] }] };
    expect(notes({}, trees)).toContain('from outside its container (version 1: memory, cpu)');
    expect(notes({}, none)).toContain('no cgroups of their own, only rlimits');
    expect(notes({}, none)).toContain('the supervisor is not root');
  });
});
