import type { DataInspector } from '../backup/inspector.ts';
import type { ContainerLimits } from '../domain/container.ts';
import type { Locations } from '../domain/location.ts';
import type { Template } from '../domain/template.ts';
import type { Driver, Site } from '../drivers/driver.ts';
import type { ForeignHost } from '../drivers/foreign-host.ts';
import type { EventLog } from '../events/event-log.ts';
import type { PoolLimits } from '../planner/world.ts';
import type { Prober } from '../probes/probe.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import type { AloneSamples } from './alone-samples.ts';
import type { Front } from './front.ts';
import type { ReserveSettings } from './reserve-targets.ts';
import type { Shelf } from './shelf.ts';

/** What the services are made of; put together in main. */
export interface Dependencies {
  readonly store: Store;
  readonly driver: Driver;
  /** What containers of a location are. */
  readonly at: (location: string) => Site;
  /** Of deleted bots. */
  readonly archives: Shelf;
  /** Of living ones. */
  readonly backups: Shelf;
  /** Of bots on their way between containers: on this machine's disk, and only until they have arrived. */
  readonly carried: Shelf;
  readonly prober: Prober;
  readonly templates: ReadonlyMap<string, Template>;
  readonly limits: PoolLimits;
  readonly containerLimits: ContainerLimits;
  /** Of templates that do not say. */
  readonly reserve: ReserveSettings;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** A new random secret with so many bytes of entropy, as text. */
  readonly secret: (bytes: number) => string;
  /** A new random id of lower-case letters and digits. */
  readonly newId: () => string;
  readonly locations: Locations;
  /** Locations that cannot be reached now, and why. */
  readonly unreachable: () => ReadonlyMap<string, string>;
  readonly events: EventLog;
  /** Before the bots' host names; null: they have none, or no certificates of their own. */
  readonly door: { readonly front: Front; readonly baseDomain: string } | null;
  readonly alone: Pick<AloneSamples, 'all'>;
  /** Where deployments are that Bunkhouse did not make. */
  readonly foreign: ForeignHost;
  readonly inspector: DataInspector;
  /** Folder for archives that are being made. */
  readonly spool: string;
  /** Folders of the disks that must have room for what is brought over. */
  readonly spaces: readonly string[];
}
