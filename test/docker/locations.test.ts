import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import type { LocationView } from '../../lib/services/pool-api.ts';
import { createSandbox, fixtureBot, type Sandbox } from '../e2e/support.ts';
import { type CuttableSocket, cuttableSocket } from '../support/cuttable-socket.ts';
import { DOCKER_HOST, installationOf, removeAllOf } from '../support/docker-harness.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { HTTP_TEMPLATE } from './http-template.ts';
import { withDocker } from './with-docker.ts';

/** One engine under two addresses: as good as two, but for the machine. */
withDocker('two locations, each with an engine of its own', () => {
  const engine = new Docker(engineAddress(DOCKER_HOST));
  let folder: string;
  let line: CuttableSocket;
  let sandbox: Sandbox;
  const open = (): Promise<CuttableSocket> =>
    cuttableSocket(join(folder, 'enam.sock'), DOCKER_HOST.replace('unix://', ''));

  beforeAll(async () => {
    folder = await makeTempDir();
    line = await open();
    sandbox = await createSandbox({
      basePort: 25_800,
      env: {
        POOL_DRIVER: 'docker',
        DOCKER_HOST,
        LOCATIONS: `weur,enam=unix://${folder}/enam.sock`,
        INSTANCE_NAME: `e2e-${randomBytes(4).toString('hex')}`,
      },
      templates: { 'http.yaml': HTTP_TEMPLATE },
    });
    await sandbox.start();
  });

  afterAll(async () => {
    const installation = await installationOf(sandbox.directory);
    await sandbox.dispose();
    if (installation !== null) await removeAllOf(engine, installation);
    await line.close();
    await removeDir(folder);
  });

  it('goes on in one while the engine of the other is away, and takes that up again as it is', async () => {
    const { client } = sandbox;
    await client.create({ ...(await fixtureBot('here', 'server.py')) });
    await client.create({ ...(await fixtureBot('there', 'server.py')), location: 'enam' } as { instanceId: string });
    const [here, there] = [
      await sandbox.untilState('here', 'running', 60),
      await sandbox.untilState('there', 'running', 60),
    ];
    expect([here.pool, there.pool]).toEqual(['http/default/weur', 'http/default/enam']);
    expect(here.container).not.toBe(there.container);
    expect((await client.containers()).map(({ location }) => location).sort()).toEqual(['enam', 'weur']);

    await line.close();
    await sandbox.untilState('there', 'unknown', 30);
    const { locations } = await client.get<{ locations: LocationView[] }>('/api/locations');
    expect(locations).toMatchObject([
      { name: 'weur', reachable: true },
      { name: 'enam', reachable: false },
    ]);
    await client.create({ ...(await fixtureBot('new', 'server.py')) });
    await sandbox.untilState('new', 'running', 60);
    expect((await client.bot('here')).pid).toBe(here.pid);

    await sandbox.stop('SIGKILL');
    await sandbox.start();
    await sandbox.untilState('here', 'running', 30);
    expect((await sandbox.client.bot('there')).state).toBe('unknown');

    line = await open();
    expect(await sandbox.untilState('there', 'running', 30)).toMatchObject({ pid: there.pid, restarts: 0 });
    expect((await sandbox.client.containers()).length).toBe(2);
  });
});
