import type { Demo } from './demo.ts';
import { ensureBots, watchUntilReady } from './demo-bots.ts';
import { openExchange } from './demo-exchange.ts';

/** The exchange listens so far below the first bot. */
const exchangePort = ({ poolBasePort }: { readonly poolBasePort: number }): number => poolBasePort - 100;

const NOT_IN_DOCKER =
  'The paper exchange of the demo listens on loopback, which bots in Docker do not reach: leave POOL_DRIVER out, or try npm run demo:legacy.';

/** FreqTrade bots that trade on a paper exchange. */
export const freqtradeDemo: Demo = {
  settings: () => ({}),
  async prepare(config, steps) {
    if (config.driver === 'docker') throw new Error(NOT_IN_DOCKER);
    return openExchange(exchangePort(config), steps);
  },
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
