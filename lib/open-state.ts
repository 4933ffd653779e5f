import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Endpoint, endpointsOf } from './config/locations.ts';
import type { Config } from './config/settings.ts';
import { messageOf } from './domain/errors.ts';
import { createStandbyApp } from './http/standby.ts';
import { homeText } from './store/home.ts';
import { type OpenedStore, openStore } from './store/open.ts';
import { systemClock as clock } from './util/clock.ts';
import type { Logger } from './util/logger.ts';
import type { ServiceManager } from './util/sd-notify.ts';

export interface OpenedState extends OpenedStore {
  /** Ends the answers of a standby, before the API takes their place. */
  endStandby(): Promise<void>;
}

/** Opens the state. While another supervisor leads it waits, and says so to the service manager and at the API's address. */
export async function openState(
  config: Config,
  version: string,
  { log, manager }: { readonly log: Logger; readonly manager: ServiceManager },
): Promise<OpenedState> {
  let endStandby = async (): Promise<void> => {};
  const opened = await openStore(config.stateUrl, {
    clock,
    log,
    home: await homeOf(config),
    folder: join(config.dataDir, 'state'),
    onStandby(leader) {
      const reason = `${leader} leads`;
      log.info({ leader }, 'standing by: another supervisor leads');
      void manager.ready(`standing by: ${reason}`);
      endStandby = answerAsStandby(config, createStandbyApp(version, reason), log);
    },
  });
  return { ...opened, endStandby: () => endStandby() };
}

// Private

/** Returns what ends it. Without a port, which the leader may have, it waits all the same. */
function answerAsStandby(
  { host, port }: Config,
  app: ReturnType<typeof createStandbyApp>,
  log: Logger,
): () => Promise<void> {
  const server = createServer(app);
  server.on('error', (error) =>
    log.warn({ host, port, error: messageOf(error) }, 'standing by without answering at the address of the API'),
  );
  server.listen(port, host);
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

/**
 * Where this supervisor's containers are. Two that differ in it cannot see each other's containers, so neither may take
 * over from the other.
 */
async function homeOf(config: Config): Promise<string> {
  const machine = await machineId();
  const places = endpointsOf(config).flatMap((endpoint) =>
    endpoint.locations.map((name) => [name, placeText(config, endpoint, machine)] as const),
  );
  return homeText(new Map(places));
}

/** A socket is one of this machine; an address means the same everywhere. */
function placeText({ dataDir }: Config, endpoint: Endpoint, machine: string): string {
  if (endpoint.driver !== 'docker')
    return `${endpoint.driver === 'process' ? dataDir : 'memory'} of machine ${machine}`;
  const { dockerHost } = endpoint;
  const local = dockerHost.startsWith('unix:');
  return local ? `the Docker engine ${dockerHost} of machine ${machine}` : `the Docker engine at ${dockerHost}`;
}

/** Its name stands in where it has no id. */
async function machineId(): Promise<string> {
  const text = await readFile('/etc/machine-id', 'utf8').catch(() => '');
  return text.trim() || hostname();
}
