import { randomBytes } from 'node:crypto';
import Docker from 'dockerode';
import { engineAddress } from '../../lib/drivers/docker/address.ts';
import { createSandbox } from '../e2e/support.ts';
import { type Machine, proveTenBots } from '../e2e/ten-bots.ts';
import { startPaperExchange } from '../fixtures/exchange/server.ts';
import { bridgeGateway, DOCKER_HOST, execPython, installationOf, removeAllOf } from '../support/docker-harness.ts';
import { withDocker } from './with-docker.ts';

const engine = new Docker(engineAddress(DOCKER_HOST));

withDocker('ten FreqTrade bots in one Docker container', () => proveTenBots(openMachine));

async function openMachine(): Promise<Machine> {
  const exchange = await startPaperExchange({ host: await bridgeGateway(engine), port: 0 });
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
      const installation = await installationOf(sandbox.directory);
      await sandbox.dispose();
      if (installation !== null) await removeAllOf(engine, installation);
      await exchange.close();
    },
  };
}

/**
 * Bots that run on this port: each leads a session of its own, under a uid that ends in its port. By the real uid, because
 * the plugin's helpers, which write a bot's files for a moment, take on its effective one.
 */
async function countOfUser(container: string, port: number): Promise<number> {
  const program = `
import os
def is_bot(pid):
    try:
        with open('/proc/' + pid + '/status') as status:
            uid = int(next(line for line in status if line.startswith('Uid:')).split()[1])
        return uid == ${1_000_000 + port} and os.getsid(int(pid)) == int(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
print(sum(is_bot(pid) for pid in os.listdir('/proc') if pid.isdigit()))`;
  return Number(await execPython(engine, container, program));
}
