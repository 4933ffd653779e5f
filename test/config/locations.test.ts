import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../lib/config/config.ts';
import { endpointsOf, locationsOf, reserveWarnings, usesDriver } from '../../lib/config/locations.ts';
import type { Config } from '../../lib/config/settings.ts';
import { chooseLocation } from '../../lib/domain/location.ts';
import { leasedTemplate } from '../services/system.ts';

const load = (env: Record<string, string>): Config => loadConfig(env, { envFile: '/none', root: true }).config;
const HOST = 'unix:///var/run/docker.sock';

describe('locations', () => {
  it.each<{ what: string; env: Record<string, string>; first: string; all: string[] }>([
    { what: 'one without a setting', env: {}, first: 'local', all: ['local'] },
    { what: 'one with a name', env: { LOCATION: 'weur' }, first: 'weur', all: ['weur'] },
    { what: 'several, the first by default', env: { LOCATIONS: 'weur, enam' }, first: 'weur', all: ['weur', 'enam'] },
    {
      what: 'another default',
      env: { LOCATIONS: 'weur,enam', LOCATION: 'enam' },
      first: 'enam',
      all: ['weur', 'enam'],
    },
    { what: 'names of your own', env: { LOCATIONS: 'cellar-2' }, first: 'cellar-2', all: ['cellar-2'] },
  ])('are $what', ({ env, first, all }) => {
    expect(locationsOf(load(env))).toEqual({ default: first, all });
  });

  it('that share an engine share its endpoint', () => {
    const LOCATIONS = 'weur,enam=tcp://127.0.0.1:2375,sam=tcp://127.0.0.1:2375';
    expect(endpointsOf(load({ LOCATIONS, POOL_DRIVER: 'docker' }))).toEqual([
      { driver: 'docker', dockerHost: HOST, locations: ['weur'] },
      { driver: 'docker', dockerHost: 'tcp://127.0.0.1:2375', locations: ['enam', 'sam'] },
    ]);
    expect(endpointsOf(load({ LOCATIONS: 'weur,enam' }))).toEqual([{ driver: 'process', locations: ['weur', 'enam'] }]);
  });

  it.each<{ POOL_DRIVER: string; LOCATIONS: string; endpoints: readonly object[] }>([
    {
      POOL_DRIVER: 'process',
      LOCATIONS: `here,there=${HOST},cellar=process`,
      endpoints: [
        { driver: 'process', locations: ['here', 'cellar'] },
        { driver: 'docker', dockerHost: HOST, locations: ['there'] },
      ],
    },
    {
      POOL_DRIVER: 'docker',
      LOCATIONS: 'here=process,there,also=docker',
      endpoints: [
        { driver: 'process', locations: ['here'] },
        { driver: 'docker', dockerHost: HOST, locations: ['there', 'also'] },
      ],
    },
    { POOL_DRIVER: 'memory', LOCATIONS: 'a,b', endpoints: [{ driver: 'memory', locations: ['a', 'b'] }] },
  ])('of different kinds: $LOCATIONS with POOL_DRIVER=$POOL_DRIVER', ({ endpoints, ...env }) => {
    const config = load(env);
    expect(endpointsOf(config)).toEqual(endpoints);
    for (const kind of ['process', 'docker', 'memory'] as const)
      expect(usesDriver(config, kind)).toBe(endpoints.some((endpoint) => Object(endpoint).driver === kind));
  });

  it.each<{ what: string; env: Record<string, string>; says: RegExp }>([
    { what: 'a name twice', env: { LOCATIONS: 'weur,weur' }, says: /LOCATIONS = "weur,weur"/ },
    { what: 'no name', env: { LOCATIONS: 'West Europe' }, says: /LOCATIONS/ },
    { what: 'no engine', env: { LOCATIONS: 'weur=ssh://there', POOL_DRIVER: 'docker' }, says: /LOCATIONS/ },
    { what: 'a kind there is not', env: { LOCATIONS: 'weur=kubernetes' }, says: /LOCATIONS = "weur=kubernetes"/ },
    { what: 'a default that is elsewhere', env: { LOCATIONS: 'weur', LOCATION: 'enam' }, says: /not one of LOCATIONS/ },
    { what: 'a reserve nowhere', env: { POOL_LOCATION_TARGETS: 'enam=3' }, says: /enam is not one of LOCATIONS/ },
    { what: 'a reserve of nothing', env: { POOL_LOCATION_TARGETS: 'local' }, says: /POOL_LOCATION_TARGETS = "local"/ },
    { what: 'a reserve too large', env: { POOL_LOCATION_TARGETS: 'local=10001' }, says: /POOL_LOCATION_TARGETS/ },
  ])('refuse $what', ({ env, says }) => {
    expect(() => load(env)).toThrow(says);
  });

  it('that a template keeps a reserve in should be there', () => {
    const reserve = {
      target: 1,
      locations: { weur: 1, mars: 2 },
      min: 1,
      batchSize: 1,
      batchSpacingSeconds: 0,
      windows: [],
    };
    const templates = new Map([['echo', leasedTemplate({ reserve })]]);
    expect(reserveWarnings(load({ LOCATIONS: 'weur' }), templates)).toEqual([
      'template echo keeps a reserve in mars, not one of LOCATIONS',
    ]);
    expect(reserveWarnings(load({ LOCATIONS: 'weur,mars' }), templates)).toEqual([]);
  });

  it('are chosen by name, and an error names those there are', () => {
    const locations = { default: 'weur', all: ['weur', 'cellar'] };
    expect(chooseLocation(locations, undefined)).toBe('weur');
    expect(chooseLocation(locations, 'cellar')).toBe('cellar');
    expect(() => chooseLocation(locations, 'mars')).toThrow('there is no location mars; known: weur, cellar');
    expect(() => chooseLocation(locations, 'constructor')).toThrow('there is no location constructor');
    expect(() => chooseLocation(locations, 'me')).toThrow('location me (Middle East) is not configured here');
  });
});
