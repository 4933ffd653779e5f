import type { AgentObservation } from '../../../lib/domain/agent.ts';
import { DockerDriver } from '../../../lib/drivers/docker/docker-driver.ts';
import type { Driver } from '../../../lib/drivers/driver.ts';
import { ProcessDriver } from '../../../lib/drivers/process/process-driver.ts';
import { systemClock as clock } from '../../../lib/util/clock.ts';
import { mapLimited } from '../../../lib/util/limit.ts';
import { silentLogger as log } from '../../../lib/util/logger.ts';
import { type Sandbox, VENV } from '../../../test/e2e/support.ts';
import { DOCKER_HOST, installationOf } from '../../../test/support/docker-harness.ts';

/** What the plugin in each container of a sandbox says, asked beside the orchestrator: asking changes nothing. */
export async function observePools(sandbox: Sandbox, kind: 'process' | 'docker'): Promise<readonly AgentObservation[]> {
  const installation = await installationOf(sandbox.directory);
  if (installation === null) return [];
  const driver = open(sandbox, kind, installation);
  try {
    const containers = await driver.list();
    const running = containers.filter(({ status }) => status === 'running');
    return await mapLimited(running, 4, async ({ name }) => {
      const agent = await driver.connect(name);
      return agent.observe().finally(() => agent.close());
    });
  } finally {
    await driver.close();
  }
}

// Private

function open({ directory }: Sandbox, kind: 'process' | 'docker', installation: string): Driver {
  if (kind === 'docker') return new DockerDriver({ installation, dockerHost: DOCKER_HOST, clock, log });
  return new ProcessDriver({
    installation,
    dataDir: directory,
    supervisord: `${VENV}/bin/supervisord`,
    pluginDir: '',
    path: '',
    uidBase: null,
    clock,
  });
}
