import { randomBytes } from 'node:crypto';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LABEL } from '../../lib/domain/container.ts';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';
import type { AssignmentView } from '../../lib/services/pool-api.ts';
import { createSandbox, fixtureBot, type Sandbox } from '../e2e/support.ts';
import { DOCKER_HOST, installationOf, removeAllOf } from '../support/docker-harness.ts';
import { withDocker } from './with-docker.ts';

const template = (name: string, image: string): string => `name: ${name}
image: ${image}
legacy: { image: ${POOL_IMAGE} }
command: [python3, -u, bot.py]
env: { PORT: "{{port}}", HOST: "{{host}}", PASSWORD: x }
requiredFiles: [bot.py]
readiness: { kind: notify, startupSeconds: 20 }
checks: [{ kind: http, path: /, json: { bot_name: "{{id}}" } }]
checkEverySeconds: 1
`;

withDocker('bots alone and bots that share, in Docker and as local processes', () => {
  const engine = new Docker(engineAddress(DOCKER_HOST));
  let sandbox: Sandbox;

  /** Containers and volumes of this supervisor. */
  async function made(): Promise<{ containers: string[]; volumes: string[] }> {
    const label = [`${LABEL.instance}=${await installationOf(sandbox.directory)}`];
    const containers = await engine.listContainers({ all: true, filters: { label } });
    const { Volumes } = await engine.listVolumes({ filters: JSON.stringify({ label }) as never });
    return {
      containers: containers.map(({ Labels }) => Labels[LABEL.container] ?? '').sort(),
      volumes: Volumes.map(({ Name }) => Name),
    };
  }

  const create = async (id: string, more: object = {}): Promise<void> =>
    void (await sandbox.client.create({ ...(await fixtureBot(id, 'server.py')), ...more } as { instanceId: string }));
  const where = (id: string): Promise<AssignmentView> => sandbox.client.get(`/api/pool/bot/${id}`);

  beforeAll(async () => {
    sandbox = await createSandbox({
      basePort: 25_900,
      env: {
        POOL_DRIVER: 'docker',
        DOCKER_HOST,
        LOCATIONS: 'there,here=process',
        INSTANCE_NAME: `e2e-${randomBytes(4).toString('hex')}`,
      },
      templates: {
        'http.yaml': template('http', POOL_IMAGE),
        'lost.yaml': template('lost', 'bunkhouse/not-there:0'),
      },
    });
    await sandbox.start();
  });

  afterAll(async () => {
    const installation = await installationOf(sandbox.directory);
    await sandbox.dispose();
    if (installation !== null) await removeAllOf(engine, installation);
  });

  it('live beside each other, and the container of one goes with it', async () => {
    for (const id of ['a', 'b']) await create(id);
    await create('x', { mode: 'legacy' });
    const [a, b, x] = [
      await sandbox.untilState('a', 'running', 60),
      await sandbox.untilState('b', 'running', 60),
      await sandbox.untilState('x', 'running', 60),
    ];
    expect(a.container).toBe(b.container);
    expect(await where('a')).toMatchObject({ isPooled: true, mode: 'pooled' });
    expect(await where('x')).toMatchObject({ isPooled: false, mode: 'legacy', legacy: { cause: 'asked' } });
    const before = await made();
    expect(before.containers).toEqual([a.container, x.container].sort());

    await sandbox.client.delete('/api/bots/x');
    await sandbox.until('its container to go', async () => (await made()).containers.length === 1, 30);
    expect((await made()).containers).toEqual([a.container]);
    expect((await made()).volumes).toHaveLength(before.volumes.length - 1);
    expect(await sandbox.client.bot('a')).toMatchObject({ pid: a.pid, state: 'running', restarts: 0 });
  });

  it('are alone when the image of their pool is missing, and say so', async () => {
    await create('lost', { template: 'lost' });
    const bot = await sandbox.untilState('lost', 'running', 60);
    expect(bot).toMatchObject({
      mode: 'legacy',
      legacy: { cause: 'fallback', why: expect.stringContaining('no image bunkhouse/not-there:0') },
    });
    const metrics = await sandbox.client.get<string>('/metrics');
    expect(metrics).toContain('bunkhouse_legacy_fallbacks_total{template="lost",reason="image"} 1');
  });

  it('are what their location says', async () => {
    await create('here', { location: 'here' });
    const here = await sandbox.untilState('here', 'running', 60);
    const containers = await sandbox.client.containers();
    expect(containers.find(({ id }) => id === here.container)).toMatchObject({ driver: 'process', location: 'here' });
    expect(containers.filter(({ location }) => location === 'there').map(({ driver }) => driver)).toContain('docker');
    expect(sandbox.processesOf('here').length).toBeGreaterThan(0);
    expect((await where('here')).connection?.host).toBe('127.0.0.1');

    await sandbox.stop('SIGKILL');
    await sandbox.start();
    expect(await sandbox.untilState('here', 'running', 30)).toMatchObject({ pid: here.pid, restarts: 0 });
  });
});
