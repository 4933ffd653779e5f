import type Docker from 'dockerode';
import { freePorts } from '../../../test/support/ports.ts';
import { openContainers } from './container.ts';
import { openPm2 } from './pm2.ts';
import { openPooled, type PooledKind } from './pooled.ts';
import type { Ground, Way, WayKind } from './way.ts';

const FIRST_PORT = 22_000;
const LAST_PORT = 22_999;
const IN_CONTAINER = 'one pool container of the Docker driver; with supervisord, shim and docker-proxy';
const ON_HOST = 'one pool of the process driver; with supervisord';

export const POOLED: Readonly<Record<Exclude<WayKind, 'container' | 'pm2'>, PooledKind>> = {
  exec: {
    name: 'pooled exec',
    note: `${IN_CONTAINER}; bots with BUNKHOUSE_PREFORK=off`,
    driver: 'docker',
    spawn: 'exec',
    merge: false,
  },
  prefork: {
    name: 'pooled prefork',
    note: `${IN_CONTAINER}, and zygote`,
    driver: 'docker',
    spawn: 'prefork',
    merge: false,
  },
  merge: {
    name: 'pooled prefork, merging',
    note: `${IN_CONTAINER}, and zygote; prefork.merge on, KSM at 2,000 pages per 20 ms`,
    driver: 'docker',
    spawn: 'prefork',
    merge: true,
  },
  'process-exec': {
    name: 'process driver, exec',
    note: `${ON_HOST}; bots with BUNKHOUSE_PREFORK=off`,
    driver: 'process',
    spawn: 'exec',
    merge: false,
  },
  'process-prefork': {
    name: 'process driver, prefork',
    note: `${ON_HOST} and zygote`,
    driver: 'process',
    spawn: 'prefork',
    merge: false,
  },
};

/** Opens a way with room for so many bots. */
export async function openWay(kind: WayKind, ground: Ground, capacity: number): Promise<Way> {
  const basePort = await freePorts(FIRST_PORT, LAST_PORT, capacity);
  if (kind === 'pm2') return openPm2(ground, basePort);
  if (kind === 'container') return openContainers(ground, mustHaveEngine(ground), basePort);
  if (POOLED[kind].driver === 'docker') mustHaveEngine(ground);
  return openPooled(ground, POOLED[kind], { basePort, capacity });
}

function mustHaveEngine({ engine }: Ground): Docker {
  if (engine !== null) return engine;
  throw new Error('no Docker engine with the image of FreqTrade: start Docker and run scripts/build-images');
}
