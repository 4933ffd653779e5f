import type { Demo } from './demo.ts';
import { ensureBots, watchUntilReady } from './demo-bots.ts';
import { openExchange } from './demo-exchange.ts';

/** The exchange listens so far below the first bot. */
const exchangePort = ({ poolBasePort }: { readonly poolBasePort: number }): number => poolBasePort - 100;

/** FreqTrade bots that trade on a paper exchange. */
export const freqtradeDemo: Demo = {
  settings: () => ({}),
  prepare: (config, steps) => openExchange(exchangePort(config), steps),
  async fill(client, config, { count, steps, ...options }) {
    await ensureBots(client, count, exchangePort(config), steps);
    return watchUntilReady(client, steps, options);
  },
  look: ({ curl, bunkhouse, where }) => [
    `${curl}/api/pool/status`,
    `${curl}/bots/demo-01/api/v1/status`,
    `${bunkhouse} top${where}`,
    `${bunkhouse} logs -f demo-01${where}`,
  ],
};
