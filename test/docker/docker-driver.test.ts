import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ContainerLimits, ContainerRecord } from '../../lib/domain/container.ts';
import { Engine } from '../../lib/drivers/docker/engine.ts';
import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';
import { containerOptions, networkName, networkOptions, volumeName } from '../../lib/drivers/docker/spec.ts';
import type { Agent } from '../../lib/drivers/driver.ts';
import { codeOf, noLimits, readBot, specOf } from '../contract/harness.ts';
import { cuttableSocket } from '../support/cuttable-socket.ts';
import { DOCKER_HOST, type DockerHarness, dockerHarness } from '../support/docker-harness.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { withDocker } from './with-docker.ts';

withDocker('the docker driver and what it makes of an engine', () => {
  let harness: DockerHarness;
  let made = 0;
  beforeAll(async () => {
    harness = await dockerHarness();
  });
  afterEach(async () => {
    for (const { name } of await harness.driver.list()) {
      await harness.driver.stop(name, 0);
      await harness.driver.remove(name);
    }
  });
  afterAll(async () => {
    await harness?.dispose();
  });

  const newRecord = (): ContainerRecord => {
    made += 1;
    return {
      name: `${harness.installation}-${made}`,
      pool: 'fixture/default/local',
      capacity: 2,
      basePort: harness.basePort + 2 * made,
      generation: made,
      image: POOL_IMAGE,
      removing: false,
      soleBot: null,
      emptying: null,
      entered: true,
      createdAt: '2026-01-01T00:00:00.000Z',
    };
  };
  const running = async (limits: ContainerLimits = noLimits): Promise<ContainerRecord> => {
    const record = newRecord();
    await harness.driver.create({ record, limits });
    return record;
  };
  const withAgent = async <T>(name: string, use: (agent: Agent) => Promise<T>): Promise<T> => {
    const agent = await harness.driver.connect(name);
    try {
      return await use(agent);
    } finally {
      await agent.close();
    }
  };
  const inspect = (name: string) => harness.engine.getContainer(name).inspect();
  /** Containers and volumes of that name, of whatever kind. */
  const traces = async (name: string): Promise<string[]> => {
    const containers = await harness.engine.listContainers({ all: true });
    const { Volumes } = await harness.engine.listVolumes();
    const names = [...containers.flatMap(({ Names }) => Names), ...Volumes.map(({ Name }) => Name)];
    return names.filter((found) => found.includes(name));
  };

  describe('a container', () => {
    it('is published on loopback only, and its password shows nowhere', async () => {
      const { name, basePort } = await running();
      const info = await inspect(name);
      const bindings = Object.values(info.NetworkSettings.Ports).flat();
      expect(bindings).toHaveLength(3);
      expect(new Set(bindings.map((binding) => binding?.HostIp))).toEqual(new Set(['127.0.0.1']));
      const config = await harness.python(name, "print(open('/var/lib/bunkhouse/supervisord.conf').read())");
      const password = /password = (\S+)/.exec(config ?? '')?.[1] ?? '';
      expect(password.length).toBeGreaterThanOrEqual(32);
      expect(JSON.stringify(info)).not.toContain(password);
      expect((await harness.engine.getContainer(name).logs({ stdout: true, stderr: true })).toString()).not.toContain(
        password,
      );
      expect(basePort).toBeGreaterThan(0);
    });

    it('keeps its bots from its password, its agent’s socket answers nobody without it', async () => {
      const { name } = await running();
      const facts = "s=os.stat('/var/lib/bunkhouse/supervisord.conf'); print(oct(s.st_mode & 0o777), s.st_uid)";
      expect((await harness.python(name, `import os; ${facts}`))?.trim()).toBe('0o600 0');
      const info = await inspect(name);
      const port = Object.values(info.NetworkSettings.Ports)
        .flat()
        .map((binding) => Number(binding?.HostPort));
      const answer = await fetch(`http://127.0.0.1:${port.at(-1)}/RPC2`, { method: 'POST', body: '<x/>' });
      expect(answer.status).toBe(401);
    });

    it('is held to its limits', async () => {
      const { name } = await running({ memoryBytes: 300 * 2 ** 20, cpus: 0.5, processes: 64 });
      expect((await inspect(name)).HostConfig).toMatchObject({
        Memory: 300 * 2 ** 20,
        NanoCpus: 500_000_000,
        PidsLimit: 64,
        RestartPolicy: { Name: 'unless-stopped' },
      });
    });

    it('reaches its host but no other container', async () => {
      const server = createServer((_, response) => response.end('host')).listen(0, '0.0.0.0');
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      try {
        const [one, two] = [await running(), await running()];
        const address = Object.values((await inspect(two.name)).NetworkSettings.Networks)[0]?.IPAddress;
        const get = (url: string): string =>
          `from urllib.request import urlopen\nprint(urlopen('${url}', timeout=2).read())`;
        expect(await harness.python(one.name, get(`http://host.docker.internal:${port}/`))).toContain('host');
        const reach = `import socket\nsocket.create_connection(('${address}', ${two.basePort + two.capacity}), 2)`;
        await expect(harness.python(one.name, reach)).rejects.toThrow(/timed out|refused|unreachable/);
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });

    it('comes back empty when its supervisord is killed, and is told of', async () => {
      const { name, basePort } = await running();
      const seen: string[] = [];
      const abort = new AbortController();
      harness.driver.watch((event) => seen.push(`${event.what} ${event.container}`), abort.signal);
      try {
        const before = await withAgent(name, async (agent) => {
          await agent.apply(harness.fixtureSpec('bot', { slot: 0, port: basePort }));
          await waitFor('the bot runs', () => readBot(agent, 'bot', 'running'));
          return (await agent.observe()).incarnation;
        });
        process.kill((await inspect(name)).State.Pid, 'SIGKILL');
        await waitFor('both events', () => seen.includes(`died ${name}`) && seen.includes(`started ${name}`));
        const after = await waitFor('it answers', () => withAgent(name, (agent) => agent.observe()));
        expect(after).toMatchObject({ bots: [], directories: ['bot'] });
        expect(after.incarnation).not.toBe(before);
      } finally {
        abort.abort();
      }
    });

    it('out of memory loses a bot, not its supervisord, and is told of', async () => {
      const { name, basePort } = await running({ ...noLimits, memoryBytes: 128 * 2 ** 20 });
      const seen: string[] = [];
      const abort = new AbortController();
      harness.driver.watch((event) => seen.push(`${event.what} ${event.container}`), abort.signal);
      try {
        await withAgent(name, async (agent) => {
          const { incarnation } = await agent.observe();
          const readiness = { kind: 'process', startupSeconds: 5, watchdogSeconds: null } as const;
          const command = ['python3', '-c', "import time; time.sleep(0.5); x = b'x' * (400 << 20); time.sleep(600)"];
          await agent.apply(harness.fixtureSpec('glutton', { slot: 0, port: basePort, command, readiness }));
          await waitFor('the event', () => seen.includes(`out-of-memory ${name}`));
          const bot = await waitFor('its end is noticed', async () => {
            const glutton = (await agent.observe()).bots[0];
            return glutton?.lastExit?.signal === 'SIGKILL' ? glutton : null;
          });
          expect(bot.lastExit?.expected).toBe(false);
          expect((await agent.observe()).incarnation).toBe(incarnation);
        });
      } finally {
        abort.abort();
      }
    });
  });

  describe('create', () => {
    it('says NOT_FOUND and how to build it when the image is missing, and leaves nothing behind', async () => {
      const record = { ...newRecord(), image: 'bunkhouse/nothing:0' };
      const work = harness.driver.create(specOf(record));
      await expect(work).rejects.toMatchObject({ code: 'NOT_FOUND', message: /scripts\/build-images/ });
      expect(await traces(record.name)).toEqual([]);
    });

    it('leaves neither container nor volume behind when another container has a port, but keeps older data', async () => {
      const { basePort } = await running();
      const fresh = { ...newRecord(), basePort: basePort + 1 };
      await expect(harness.driver.create(specOf(fresh))).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        details: { port: basePort + 1 },
      });
      expect(await traces(fresh.name)).toEqual([]);

      const older = await running();
      await harness.driver.stop(older.name, 1);
      expect(await codeOf(harness.driver.create(specOf({ ...older, basePort })))).toBe('PORT_IN_USE');
      expect(await traces(older.name)).toEqual([volumeName(older.name)]);
      await harness.driver.create(specOf(older));
    });

    it('says CONFLICT for a container or a volume of somebody else', async () => {
      const [one, two] = [newRecord(), newRecord()];
      const { engine } = harness;
      const stranger = await engine.createContainer({ name: one.name, Image: POOL_IMAGE });
      await engine.createVolume({ Name: volumeName(two.name) });
      try {
        expect(await codeOf(harness.driver.create(specOf(one)))).toBe('CONFLICT');
        expect(await codeOf(harness.driver.remove(one.name))).toBe('CONFLICT');
        expect(await codeOf(harness.driver.start(one.name))).toBe('NOT_FOUND');
        expect(await codeOf(harness.driver.create(specOf(two)))).toBe('CONFLICT');
        expect(await codeOf(harness.driver.remove(two.name))).toBe('CONFLICT');
      } finally {
        await stranger.remove({ v: true });
        await engine.getVolume(volumeName(two.name)).remove();
      }
    });

    it('finishes what an earlier call did not', async () => {
      const record = newRecord();
      const engine = new Engine(DOCKER_HOST);
      await engine.ensureNetwork(networkOptions(harness.installation));
      await engine.create(
        containerOptions(specOf(record), { installation: harness.installation, writableCgroups: false }),
      );
      expect(await harness.driver.list()).toMatchObject([{ name: record.name, status: 'stopped' }]);
      await harness.driver.create(specOf(record));
      expect(await withAgent(record.name, (agent) => agent.observe())).toMatchObject({ bots: [] });
    });

    it('makes the network again when somebody removed it', async () => {
      const record = await running();
      await harness.driver.stop(record.name, 1);
      await harness.engine.getNetwork(networkName(harness.installation)).remove();
      await harness.driver.create(specOf(record));
      expect(await harness.driver.list()).toMatchObject([{ name: record.name, status: 'running' }]);
    });

    it('takes the older of two networks that were made at the same time', async () => {
      const { engine, installation } = harness;
      const ids = async (): Promise<string[]> => {
        const found = await engine.listNetworks({ filters: JSON.stringify({ name: [networkName(installation)] }) });
        return found.map(({ Id }) => Id);
      };
      await new Engine(DOCKER_HOST).ensureNetwork(networkOptions(installation));
      const before = await ids();
      // Engines of today refuse it.
      await engine.createNetwork({ ...networkOptions(installation), CheckDuplicate: false }).catch(() => {});
      await running();
      expect(await ids()).toEqual(before);
    });

    it('that gets no answer tells what supervisord said, and leaves nothing behind', async () => {
      const record = { ...newRecord(), image: `${POOL_IMAGE.split(':')[0]}:broken-${made}` };
      const { engine } = harness;
      const donor = await engine.createContainer({ Image: POOL_IMAGE, Cmd: ['python3', '-c', "print('no, thanks')"] });
      const [repo, tag] = record.image.split(':');
      const { Id } = (await donor.commit({ repo, tag })) as { Id: string };
      try {
        const impatient = harness.open('same', DOCKER_HOST, 1_000);
        const work = impatient.create(specOf(record));
        await expect(work).rejects.toMatchObject({ code: 'AGENT_UNAVAILABLE', message: /no, thanks/ });
        expect(await traces(record.name)).toEqual([]);
      } finally {
        await donor.remove({ v: true });
        await engine.getImage(Id).remove({ force: true });
      }
    });
  });

  describe('a container that somebody tampered with', () => {
    it('is unknown while it is frozen, and refuses to be removed', async () => {
      const { name } = await running();
      await harness.engine.getContainer(name).pause();
      try {
        expect(await harness.driver.list()).toMatchObject([{ name, status: 'unknown', reason: /unpause/ }]);
        expect(await codeOf(harness.driver.remove(name))).toBe('CONFLICT');
      } finally {
        await harness.engine.getContainer(name).unpause();
      }
    });

    it('whose configuration is gone cannot be connected to, and says what to do', async () => {
      const { name } = await running();
      await harness.python(name, "import os; os.remove('/var/lib/bunkhouse/supervisord.conf')");
      await expect(harness.driver.connect(name)).rejects.toMatchObject({
        code: 'AGENT_UNAVAILABLE',
        message: expect.stringContaining(`docker rm --force ${name}`),
      });
    });
  });

  describe('the way to the engine', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await makeTempDir();
    });
    afterEach(() => removeDir(folder));

    it.runIf(DOCKER_HOST.startsWith('unix://'))('may break: events are heard again, and calls made again', async () => {
      const path = join(folder, 'docker.sock');
      const way = await cuttableSocket(path, DOCKER_HOST.slice('unix://'.length));
      const driver = harness.open('same', `unix://${path}`);
      const abort = new AbortController();
      const seen: string[] = [];
      try {
        driver.watch((event) => seen.push(event.what), abort.signal);
        const record = newRecord();
        await driver.create(specOf(record));
        await waitFor('the first event', () => seen.includes('started'));
        way.cut();
        await waitFor(
          'an event after the cut',
          async () => {
            await driver.stop(record.name, 0);
            await driver.start(record.name);
            return seen.length > 1;
          },
          30_000,
        );
      } finally {
        abort.abort();
        await driver.close();
        await way.close();
      }
    });
  });
});
