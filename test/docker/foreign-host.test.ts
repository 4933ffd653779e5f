import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { expect, it } from 'vitest';
import { LABEL } from '../../lib/domain/container.ts';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { DockerForeignHost } from '../../lib/drivers/docker/foreign.ts';
import { POOL_IMAGE } from '../../lib/drivers/docker/images.ts';
import { foreignHostContract } from '../contract/foreign-host.ts';
import { DOCKER_HOST } from '../support/docker-harness.ts';
import { withDocker } from './with-docker.ts';

const engine = new Docker(engineAddress(DOCKER_HOST));
const FOR_EVER = { Image: POOL_IMAGE, Entrypoint: ['sleep', '1000'], Cmd: [] };

/** A folder as a bot of user 1000 has it. */
async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-test-old-'));
  await chmod(folder, 0o755);
  await mkdir(join(folder, 'data/sub'), { recursive: true });
  await writeFile(join(folder, 'data/a.txt'), 'one');
  await writeFile(join(folder, 'data/sub/b.txt'), 'two');
  for (const path of ['data', 'data/a.txt', 'data/sub', 'data/sub/b.txt']) await chown(join(folder, path), 1000, 1000);
  return folder;
}

withDocker('the host of foreign containers', () => {
  foreignHostContract('docker', async () => {
    const folder = await dataFolder();
    const name = `old-${randomBytes(4).toString('hex')}`;
    const container = await engine.createContainer({
      ...FOR_EVER,
      name,
      HostConfig: {
        // What its image declares as a volume would otherwise be one without a name, which stays.
        Binds: [`${join(folder, 'data')}:/app/data`],
        Tmpfs: { '/var/lib/bunkhouse': '' },
        RestartPolicy: { Name: 'unless-stopped' },
      },
    });
    const dispose = async (): Promise<void> => {
      await container.remove({ force: true, v: true }).catch(() => {});
      await rm(folder, { recursive: true, force: true });
    };
    try {
      await container.start();
    } catch (error) {
      await dispose();
      throw error;
    }
    return {
      host: new DockerForeignHost(DOCKER_HOST),
      from: null,
      ref: { kind: 'container', name, id: container.id },
      gone: { kind: 'container', name: `${name}-gone`, id: `${name}-gone` },
      hasLife: true,
      dispose,
    };
  });

  it('leaves out what any Bunkhouse has made', async () => {
    const container = await engine.createContainer({ ...FOR_EVER, Labels: { [LABEL.instance]: 'some-other' } });
    try {
      const { found } = await new DockerForeignHost(DOCKER_HOST).list();
      expect(found.filter(({ ref }) => ref.kind === 'container' && ref.id === container.id)).toEqual([]);
    } finally {
      await container.remove({ force: true, v: true });
    }
  });
});
