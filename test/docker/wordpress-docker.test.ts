import { randomBytes } from 'node:crypto';
import Docker from 'dockerode';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { createSandbox } from '../e2e/support.ts';
import { proveTenSites, SITE_SETTINGS, type SiteMachine } from '../e2e/ten-sites.ts';
import { DOCKER_HOST, execPython, installationOf, removeAllOf } from '../support/docker-harness.ts';
import { withDocker } from './with-docker.ts';

const engine = new Docker(engineAddress(DOCKER_HOST));

withDocker('ten WordPress sites in a Docker container', () => proveTenSites(openMachine));

async function openMachine(): Promise<SiteMachine> {
  const instance = `e2e-${randomBytes(4).toString('hex')}`;
  const settings = { POOL_DRIVER: 'docker', DOCKER_HOST, INSTANCE_NAME: instance };
  const sandbox = await createSandbox({ basePort: 25_800, env: { ...SITE_SETTINGS, ...settings } });
  return {
    sandbox,
    python: (container, program) => execPython(engine, container, `directory = '/var/lib/bunkhouse'\n${program}`),
    async dispose() {
      const installation = await installationOf(sandbox.directory);
      await sandbox.dispose();
      if (installation !== null) await removeAllOf(engine, installation);
    },
  };
}
