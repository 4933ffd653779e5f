import { join } from 'node:path';
import { endpointsOf, enginesOf } from './config/locations.ts';
import type { Config } from './config/settings.ts';
import { withDeadlines } from './drivers/deadline.ts';
import type { Driver, Site } from './drivers/driver.ts';
import { FleetDriver } from './drivers/fleet.ts';
import { withMetrics } from './drivers/metrics.ts';
import { type DriverSettings, openDriver } from './drivers/open.ts';
import type { Metrics } from './http/metrics.ts';
import type { Store } from './store/store.ts';
import { systemClock as clock } from './util/clock.ts';
import type { Logger } from './util/logger.ts';

export interface OpenedDriver {
  readonly driver: Driver;
  /** What containers of a location are. */
  readonly at: (location: string) => Site;
  /** Locations that cannot be reached now, and why. */
  readonly unreachable: () => ReadonlyMap<string, string>;
}

export interface DriverParts {
  readonly store: Store;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly root: string;
}

/** The driver of all locations, found fit for use. Throws DRIVER_UNAVAILABLE with what to do about it. */
export async function connectDriver(config: Config, parts: DriverParts): Promise<OpenedDriver> {
  const opened = await openAll(config, parts);
  const { notes, ...capabilities } = await opened.driver.capabilities();
  parts.log.info({ ...capabilities }, `the ${capabilities.driver} driver is ready`);
  for (const note of notes) parts.log.warn({ driver: capabilities.driver }, note);
  return opened;
}

// Private

/**
 * Only engines make a location more than a label. A single one is a fleet too: what is recorded for a location that is not
 * configured any more may still run somewhere else, and must not be made anew here.
 */
async function openAll(config: Config, parts: DriverParts): Promise<OpenedDriver> {
  const endpoints = await Promise.all(
    endpointsOf(config).map(async (endpoint) => ({
      locations: endpoint.locations,
      driver: await openOne({ ...config, ...endpoint }, parts),
    })),
  );
  const [first] = endpoints;
  if (first !== undefined && enginesOf(config).length === 0 && endpoints.length === 1)
    return { driver: first.driver, at: () => first.driver, unreachable: () => NONE };
  const fleet = new FleetDriver({ endpoints, recorded: () => parts.store.current().containers, clock });
  return { driver: fleet, at: (location) => fleet.at(location), unreachable: () => fleet.unreachable() };
}

async function openOne(settings: DriverSettings, { store, metrics, log, root }: DriverParts): Promise<Driver> {
  const { installation } = store.current();
  const bare = await openDriver(settings, { installation, clock, log, pluginDir: join(root, 'docker/pool') });
  const observed = withMetrics(bare, clock, ({ method, outcome, ms }) =>
    metrics.driverCall(method, outcome, ms / 1000),
  );
  return withDeadlines(observed, clock);
}

const NONE: ReadonlyMap<string, string> = new Map();
