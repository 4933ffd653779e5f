import { NAME } from '../domain/ids.ts';
import type { Locations } from '../domain/location.ts';
import type { Template } from '../domain/template.ts';
import { dockerHost, type Kind } from './kinds.ts';
import { pairs } from './pairs.ts';

/** Where containers can be when no setting says. */
const UNNAMED = 'local';
/** What containers can be. */
export const DRIVERS = ['process', 'docker', 'memory'] as const;
export type DriverKind = (typeof DRIVERS)[number];

const isDriver = (text: string): text is DriverKind => DRIVERS.some((kind) => kind === text);

const TARGET = /^\d{1,5}$/;
const MOST_WARM = 10_000;

const nameOf = (text: string): string | undefined => (NAME.test(text) ? text : undefined);

const isPlace = (text: string): boolean => isDriver(text) || dockerHost.schema.safeParse(text).success;

/** Names in order, each with a kind of driver or the address of a Docker engine, or null for what POOL_DRIVER says. */
export const locationList: Kind<ReadonlyMap<string, string | null>> = {
  schema: pairs(nameOf, (value) => (value === null || isPlace(value) ? value : undefined)),
  allowed:
    'names with commas between them, each with `=` and `process`, `docker` or a Docker engine where it is not as POOL_DRIVER says',
};

/** Numbers of warm bots by location. */
export const locationTargets: Kind<ReadonlyMap<string, number>> = {
  schema: pairs(nameOf, (value) =>
    value !== null && TARGET.test(value) && Number(value) <= MOST_WARM ? Number(value) : undefined,
  ),
  allowed: `location, \`=\` and a number up to ${MOST_WARM}, with commas between them`,
};

export interface LocationSettings {
  readonly location: string | null;
  readonly locations: ReadonlyMap<string, string | null>;
  readonly poolLocationTargets: ReadonlyMap<string, number>;
  readonly driver: DriverKind;
  readonly dockerHost: string;
}

/** Where this supervisor can have containers. */
export function locationsOf({ location, locations }: LocationSettings): Locations {
  const [first] = locations.keys();
  if (first === undefined) return { default: location ?? UNNAMED, all: [location ?? UNNAMED] };
  return { default: location ?? first, all: [...locations.keys()] };
}

/** A driver to be, and the locations it serves. */
export type Endpoint =
  | EngineEndpoint
  | { readonly driver: 'process' | 'memory'; readonly locations: readonly string[] };

export interface EngineEndpoint {
  readonly driver: 'docker';
  readonly dockerHost: string;
  readonly locations: readonly string[];
}

/** Each engine once, and each other driver once, because all its locations are on this machine. */
export function endpointsOf(settings: LocationSettings): Endpoint[] {
  const { all } = locationsOf(settings);
  const byPlace = Map.groupBy(all, (name) => placeOf(settings, name));
  return [...byPlace].map(([place, locations]) =>
    place === 'process' || place === 'memory'
      ? { driver: place, locations }
      : { driver: 'docker', dockerHost: place, locations },
  );
}

export function enginesOf(settings: LocationSettings): EngineEndpoint[] {
  return endpointsOf(settings).filter((endpoint) => endpoint.driver === 'docker');
}

/** Whether any location has containers of that kind. */
export function usesDriver(settings: LocationSettings, kind: DriverKind): boolean {
  return endpointsOf(settings).some(({ driver }) => driver === kind);
}

/** Reserves that templates want where this supervisor has nothing, a sentence each. */
export function reserveWarnings(settings: LocationSettings, templates: ReadonlyMap<string, Template>): string[] {
  const { all } = locationsOf(settings);
  return [...templates.values()].flatMap(({ name, lease }) => {
    const strange = Object.keys(lease?.reserve.locations ?? {}).filter((location) => !all.includes(location));
    return strange.length === 0
      ? []
      : [`template ${name} keeps a reserve in ${strange.join(', ')}, not one of LOCATIONS`];
  });
}

/** What does not go together, a sentence each. */
export function locationProblems(settings: LocationSettings): string[] {
  const { location, poolLocationTargets } = settings;
  const { all } = locationsOf(settings);
  const problems: string[] = [];
  if (location !== null && !all.includes(location)) problems.push(`LOCATION = "${location}" is not one of LOCATIONS`);
  const strange = [...poolLocationTargets.keys()].filter((name) => !all.includes(name));
  if (strange.length > 0) problems.push(`POOL_LOCATION_TARGETS: ${strange.join(', ')} is not one of LOCATIONS`);
  return problems;
}

// Private

/** `process`, `memory`, or the address of an engine. */
function placeOf({ locations, driver, dockerHost: standard }: LocationSettings, name: string): string {
  const place = locations.get(name) ?? driver;
  return place === 'docker' ? standard : place;
}
