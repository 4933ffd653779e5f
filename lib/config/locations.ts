import { NAME } from '../domain/ids.ts';
import type { Locations } from '../domain/location.ts';
import type { Template } from '../domain/template.ts';
import { dockerHost, type Kind } from './kinds.ts';
import { pairs } from './pairs.ts';

/** Where containers can be when no setting says. */
const UNNAMED = 'local';
const TARGET = /^\d{1,5}$/;
const MOST_WARM = 10_000;

const nameOf = (text: string): string | undefined => (NAME.test(text) ? text : undefined);

/** Names in order, each with the engine it has, or null for that of DOCKER_HOST. */
export const locationList: Kind<ReadonlyMap<string, string | null>> = {
  schema: pairs(nameOf, (value) => (value === null || dockerHost.schema.safeParse(value).success ? value : undefined)),
  allowed: 'names with commas between them, each with `=` and a Docker engine where it has one of its own',
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
  readonly driver: 'process' | 'docker' | 'memory';
  readonly dockerHost: string;
}

/** Where this supervisor can have containers. */
export function locationsOf({ location, locations }: LocationSettings): Locations {
  const [first] = locations.keys();
  if (first === undefined) return { default: location ?? UNNAMED, all: [location ?? UNNAMED] };
  return { default: location ?? first, all: [...locations.keys()] };
}

export interface EngineEndpoint {
  readonly dockerHost: string;
  readonly locations: readonly string[];
}

/** Each engine once, with the locations it serves. Drivers without an engine serve all of them at once. */
export function endpointsOf(settings: LocationSettings): EngineEndpoint[] {
  const { all } = locationsOf(settings);
  const byHost = Map.groupBy(all, (name) => settings.locations.get(name) ?? settings.dockerHost);
  return [...byHost].map(([dockerHost, locations]) => ({ dockerHost, locations }));
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
  const { location, locations, poolLocationTargets, driver } = settings;
  const { all } = locationsOf(settings);
  const problems: string[] = [];
  if (location !== null && !all.includes(location)) problems.push(`LOCATION = "${location}" is not one of LOCATIONS`);
  if (driver !== 'docker' && [...locations.values()].some((endpoint) => endpoint !== null))
    problems.push(`LOCATIONS: only POOL_DRIVER=docker has engines; give names alone to POOL_DRIVER=${driver}`);
  const strange = [...poolLocationTargets.keys()].filter((name) => !all.includes(name));
  if (strange.length > 0) problems.push(`POOL_LOCATION_TARGETS: ${strange.join(', ')} is not one of LOCATIONS`);
  return problems;
}
