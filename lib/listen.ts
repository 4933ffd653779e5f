import { createServer, type Server } from 'node:http';
import type { Config } from './config/settings.ts';
import { BunkhouseError } from './domain/errors.ts';
import type { HttpApp } from './http/app.ts';
import { systemClock as clock } from './util/clock.ts';
import type { Logger } from './util/logger.ts';

/** How long connections are left open when the server closes. */
const LAST_WORDS_MS = 500;

/** Of each connection: large bodies of bots then flow without a stop after every piece. */
const BUFFER_BYTES = 256 * 1024;

/** A server for the API. Throws PORT_IN_USE. */
export function listen(config: Config, app: HttpApp, log: Logger): Promise<Server> {
  const options = { shouldUpgradeCallback: app.shouldUpgrade, highWaterMark: BUFFER_BYTES };
  const server = createServer(options, app.callback);
  server.on('upgrade', app.upgrade);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = `port ${config.port} of ${config.host} is taken: is another supervisor running? Otherwise set PORT`;
      reject(error.code === 'EADDRINUSE' ? new BunkhouseError('PORT_IN_USE', taken, { cause: error }) : error);
    });
    server.listen(config.port, config.host, () => {
      server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted'));
      resolve(server);
    });
  });
}

/** Streams and answers under way get a moment for their last words, such as where to go on. */
export async function stopServer(server: Server, app: HttpApp): Promise<void> {
  app.close();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const cancel = clock.after(LAST_WORDS_MS, () => server.closeAllConnections());
  await closed;
  cancel();
}
