import { startPaperExchange } from '../../test/fixtures/exchange/server.ts';
import { bridgeGateway } from '../../test/support/docker-harness.ts';
import { findEngine } from './ways/engine.ts';
import type { Ground } from './ways/way.ts';

/** Runs something on a ground of its own: an exchange that bots reach inside containers as well as outside. */
export async function onGround<T>(
  { timeframe, signal }: Pick<Ground, 'timeframe' | 'signal'>,
  act: (ground: Ground) => Promise<T>,
): Promise<T> {
  if (process.getuid?.() !== 0) throw new Error('memory of other users can be read by root only: run this as root');
  const engine = await findEngine();
  const host = engine === null ? '127.0.0.1' : await bridgeGateway(engine);
  const exchange = await startPaperExchange({ host, port: 0 });
  try {
    return await act({ exchange, timeframe, engine, signal });
  } finally {
    await exchange.close();
  }
}
