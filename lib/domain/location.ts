import { BunkhouseError } from './errors.ts';

/** Codes that mean the same to everybody; an operator may have others. */
export const WELL_KNOWN_LOCATIONS: Readonly<Record<string, string>> = {
  wnam: 'Western North America',
  enam: 'Eastern North America',
  sam: 'South America',
  weur: 'Western Europe',
  eeur: 'Eastern Europe',
  apac: 'Asia Pacific',
  oc: 'Oceania',
  afr: 'Africa',
  me: 'Middle East',
};

/** Where this supervisor can have containers. */
export interface Locations {
  /** Of requests that name none. One of `all`. */
  readonly default: string;
  readonly all: readonly string[];
}

/** The location asked for, or the default. Throws UNKNOWN_LOCATION with those there are. */
export function chooseLocation({ default: fallback, all }: Locations, wanted: string | undefined): string {
  if (wanted === undefined) return fallback;
  if (all.includes(wanted)) return wanted;
  const what = Object.hasOwn(WELL_KNOWN_LOCATIONS, wanted)
    ? `location ${wanted} (${WELL_KNOWN_LOCATIONS[wanted]}) is not configured here`
    : `there is no location ${wanted}`;
  throw new BunkhouseError('UNKNOWN_LOCATION', `${what}; known: ${all.join(', ')}`, { details: { known: all } });
}
