import { type DemoBot, demoBot } from '../../../test/fixtures/exchange/demo-bot.ts';
import type { Ground } from './way.ts';

/** The demo's bot with candles as wanted, and an address of the exchange of its own. */
export async function traderOn({ exchange, timeframe }: Ground, id: string): Promise<DemoBot> {
  const bot = await demoBot(id, exchange.urlFor(id));
  const config = { ...(JSON.parse(bot.files['config.json'] ?? '{}') as object), timeframe };
  return { ...bot, files: { ...bot.files, 'config.json': JSON.stringify(config) } };
}
