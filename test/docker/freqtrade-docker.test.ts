import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import type { State } from '../../lib/domain/state.ts';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { createSandbox, type Sandbox } from '../e2e/support.ts';
import { type Machine, proveTenBots } from '../e2e/ten-bots.ts';
import { startPaperExchange } from '../fixtures/exchange/server.ts';
import { DOCKER_HOST, execPython, removeAllOf } from '../support/docker-harness.ts';
import { withDocker } from './with-docker.ts';

const engine = new Docker(engineAddress(DOCKER_HOST));

withDocker('ten FreqTrade bots in one Docker container', () => proveTenBots(openMachine));

async function openMachine(): Promise<Machine> {
  const exchange = await startPaperExchange({ host: await gateway(), port: 0 });
  const instance = `e2e-${randomBytes(4).toString('hex')}`;
  const sandbox = await createSandbox({
    basePort: 25_700,
    env: { POOL_DRIVER: 'docker', DOCKER_HOST, INSTANCE_NAME: instance },
  });
  const containersOf = (): Promise<Docker.ContainerInfo[]> => engine.listContainers({ filters: { name: [instance] } });
  return {
    sandbox,
    exchange,
    exchangeUrl: exchange.url.replace(/\/\/[^:]+/, '//host.docker.internal'),
    countProcesses: ({ container, port }) => countOfUser(container as string, port as number),
    countSupervisords: async () => (await containersOf()).length,
    killBot: async ({ container, pid }) =>
      void (await execPython(engine, container as string, `import os; os.kill(${pid}, 9)`)),
    killSupervisord: (container) => engine.getContainer(container).kill({ signal: 'SIGKILL' }),
    async dispose() {
      const installation = await installationOf(sandbox);
      await sandbox.dispose();
      if (installation !== null) await removeAllOf(engine, installation);
      await exchange.close();
    },
  };
}

/** Where `host.docker.internal` leads: the host on the default bridge. Engines that name no gateway take the first address. */
async function gateway(): Promise<string> {
  const network = (await engine.getNetwork('bridge').inspect()) as Docker.NetworkInspectInfo;
  const { Gateway, Subnet } = network.IPAM?.Config?.[0] ?? {};
  const address = Gateway ?? Subnet?.replace(/\.0\/\d+$/, '.1');
  if (address === undefined) throw new Error('the network "bridge" has no addresses');
  return address;
}

/** A bot's uid ends in its port, as ports are unique. */
async function countOfUser(container: string, port: number): Promise<number> {
  const program = `
import os
pids = [pid for pid in os.listdir('/proc') if pid.isdigit()]
def uid(pid):
    try:
        return os.stat('/proc/' + pid).st_uid
    except FileNotFoundError:
        return 0
print(sum(uid(pid) == ${1_000_000 + port} for pid in pids))`;
  return Number(await execPython(engine, container, program));
}

/** Null when the orchestrator never came so far. */
async function installationOf(sandbox: Sandbox): Promise<string | null> {
  const state = await readFile(join(sandbox.directory, 'state/state.json'), 'utf8').catch(() => null);
  return state === null ? null : (JSON.parse(state) as State).installation;
}
