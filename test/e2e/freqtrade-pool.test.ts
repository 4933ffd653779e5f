import { startPaperExchange } from '../fixtures/exchange/server.ts';
import { signal } from './processes.ts';
import { createSandbox } from './support.ts';
import { type Machine, proveTenBots } from './ten-bots.ts';

async function openMachine(): Promise<Machine> {
  const exchange = await startPaperExchange({ host: '127.0.0.1', port: 0 });
  const sandbox = await createSandbox({ basePort: 25_400 });
  return {
    sandbox,
    exchange,
    exchangeUrl: exchange.url,
    countProcesses: async ({ instanceId }) => sandbox.processesOf(instanceId).length,
    countSupervisords: async () => sandbox.supervisords().length,
    killBot: async ({ pid }) => void signal(pid as number, 'SIGKILL'),
    killSupervisord: async () => void signal(sandbox.supervisords()[0]?.pid as number, 'SIGKILL'),
    async dispose() {
      await sandbox.dispose();
      await exchange.close();
    },
  };
}

proveTenBots(openMachine);
