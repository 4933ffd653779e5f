import { createServer, type Server } from 'node:http';
import type { Config } from './config/settings.ts';
import { BunkhouseError } from './domain/errors.ts';
import type { HttpApp } from './http/app.ts';
import type { Logger } from './util/logger.ts';

/** A server for the API. Throws PORT_IN_USE. */
export function listen(config: Config, app: HttpApp, log: Logger): Promise<Server> {
  const server = createServer({ shouldUpgradeCallback: app.shouldUpgrade }, app.callback);
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

/** Ends it with all its connections. */
export function stopServer(server: Server, app: HttpApp): Promise<void> {
  app.close();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
