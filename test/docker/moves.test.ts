import { randomBytes } from 'node:crypto';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import type { BotView } from '../../lib/services/pool-api.ts';
import { createSandbox, fixtureBot, type Sandbox } from '../e2e/support.ts';
import { DOCKER_HOST, installationOf, removeAllOf } from '../support/docker-harness.ts';
import { HTTP_TEMPLATE } from './http-template.ts';
import { withDocker } from './with-docker.ts';

/** It writes down each of its lives, and says all of them. */
const REMEMBERS = `
with open("lives", "a") as file:
    file.write("life\\n")
with open("lives") as file:
    print("lives:", len(file.readlines()))
`;

withDocker('a bot that moves between drivers', () => {
  const engine = new Docker(engineAddress(DOCKER_HOST));
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await createSandbox({
      basePort: 25_950,
      env: {
        POOL_DRIVER: 'docker',
        DOCKER_HOST,
        LOCATIONS: 'there,here=process',
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
  });

  async function moveTo(location: string): Promise<BotView> {
    await sandbox.client.post('/api/bots/mover/move', { location });
    return sandbox.until(
      `it is ${location}`,
      async () => {
        const view = await sandbox.client.bot('mover');
        return view.move === null && view.state === 'running' && view;
      },
      120,
    );
  }

  const said = async (): Promise<string> => (await sandbox.client.get<{ data: string }>('/api/bots/mover/logs')).data;

  it('takes its data from local processes into Docker and back', async () => {
    const { files, ...bot } = await fixtureBot('mover', 'server.py');
    await sandbox.client.create({ ...bot, location: 'here', files: { 'bot.py': REMEMBERS + files['bot.py'] } } as {
      instanceId: string;
    });
    const first = await sandbox.untilState('mover', 'running', 60);
    const there = await moveTo('there');
    expect(there.pool).toBe('http/default/there');
    expect(there.container).not.toBe(first.container);
    expect(sandbox.processesOf('mover')).toEqual([]);
    expect(await said()).toContain('lives: 2');
    const back = await moveTo('here');
    expect(back.pool).toBe('http/default/here');
    expect(sandbox.processesOf('mover').length).toBeGreaterThan(0);
    expect(await said()).toContain('lives: 3');
  });
});
