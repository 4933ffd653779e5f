import { randomBytes } from 'node:crypto';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';
import type { UpgradeView } from '../../lib/services/upgrade-api.ts';
import { createSandbox, fixtureBot, type Sandbox } from '../e2e/support.ts';
import { DOCKER_HOST, installationOf, removeAllOf } from '../support/docker-harness.ts';
import { HTTP_TEMPLATE } from './http-template.ts';
import { withDocker } from './with-docker.ts';

const BOTS = ['a', 'b', 'c'];

withDocker('an upgrade to another image', () => {
  const engine = new Docker(engineAddress(DOCKER_HOST));
  const repo = POOL_IMAGE.split(':')[0] as string;
  const tag = `next-${randomBytes(4).toString('hex')}`;
  let sandbox: Sandbox;

  beforeAll(async () => {
    await engine.getImage(POOL_IMAGE).tag({ repo, tag });
    sandbox = await createSandbox({
      basePort: 26_150,
      env: { POOL_DRIVER: 'docker', DOCKER_HOST, INSTANCE_NAME: `e2e-${randomBytes(4).toString('hex')}` },
      templates: { 'http.yaml': `${HTTP_TEMPLATE}capacity: 2\n` },
    });
    await sandbox.start();
    for (const bot of BOTS) await sandbox.client.create(await fixtureBot(bot, 'server.py'));
    for (const bot of BOTS) await sandbox.untilState(bot, 'running', 60);
  });

  afterAll(async () => {
    const installation = await installationOf(sandbox.directory);
    await sandbox.dispose();
    if (installation !== null) await removeAllOf(engine, installation);
    await engine.getImage(`${repo}:${tag}`).remove();
  });

  const imagesOfBots = async (): Promise<string[]> => {
    const bots = await Promise.all(BOTS.map((bot) => sandbox.client.bot(bot)));
    const names = [...new Set(bots.map(({ container }) => container as string))];
    return Promise.all(names.map(async (name) => (await engine.getContainer(name).inspect()).Config.Image));
  };

  async function upgradeTo(image: string): Promise<UpgradeView> {
    await sandbox.client.post('/api/pool/upgrade', { template: 'http', image, spacingSeconds: 0 });
    return sandbox.until(
      `all have ${image}`,
      async () => {
        const view = await sandbox.client.get<UpgradeView>('/api/pool/upgrade/http');
        return view.status !== 'running' && view;
      },
      120,
    );
  }

  it('brings every bot into containers of it and removes the old ones', async () => {
    const before = await imagesOfBots();
    expect(new Set(before)).toEqual(new Set([POOL_IMAGE]));
    expect(await upgradeTo(`${repo}:${tag}`)).toMatchObject({ status: 'done', moved: BOTS.length, failures: [] });
    expect(new Set(await imagesOfBots())).toEqual(new Set([`${repo}:${tag}`]));
    await sandbox.until('the old ones are gone', async () => {
      const label = [`bunkhouse.instance=${await installationOf(sandbox.directory)}`];
      const left = await engine.listContainers({ all: true, filters: JSON.stringify({ label }) });
      return left.every(({ Image }) => Image === `${repo}:${tag}`);
    });
  });
});
