import { BunkhouseError } from '../../domain/errors.ts';
import type { Capabilities } from '../driver.ts';
import type { Trees } from './cgroups/trees.ts';
import type { EngineFacts } from './engine.ts';

/** Engine API of Docker 20.10. */
const OLDEST_API = '1.41';
/** Of Docker 28, the first one that can let a container write its own cgroups. */
const WRITABLE_CGROUPS_API = '1.48';

/**
 * Whether containers are asked to make cgroups for their bots themselves. Only in version 2 is that safe: there a container
 * sees and writes nothing but its own part.
 */
export function writableCgroups({ apiVersion, cgroupVersion }: EngineFacts): boolean {
  return cgroupVersion === '2' && !older(apiVersion, WRITABLE_CGROUPS_API);
}

/** What this engine allows. Throws DRIVER_UNAVAILABLE with what to do when pools cannot run on it. */
export function capabilitiesOf(facts: EngineFacts, outside: Trees): Capabilities {
  if (facts.system !== 'linux') throw unfit(`it runs ${facts.system} containers: use an engine for Linux containers`);
  if (older(facts.apiVersion, OLDEST_API)) {
    throw unfit(`it speaks API ${facts.apiVersion}, we need ${OLDEST_API}: update to Docker 20.10 or later`);
  }
  const remap = facts.security.find((option) => /^name=(?:rootless|userns)\b/.test(option));
  if (remap !== undefined) {
    throw unfit(
      `it maps user ids (${remap}) and so lacks ids for the slots: use an engine without, or POOL_DRIVER=process`,
    );
  }
  return {
    driver: 'docker',
    isolatesUsers: true,
    images: true,
    notes: [
      `Docker Engine API ${facts.apiVersion}`,
      cgroupNote(facts, outside),
      ...facts.missingLimits.map((limit) => `the kernel of this engine cannot limit ${limit} of a container`),
    ],
  };
}

function cgroupNote(facts: EngineFacts, outside: Trees): string {
  if (writableCgroups(facts)) return 'each bot gets a cgroup of its own, made inside its container';
  if (outside.kind === 'none') {
    return `bots get no cgroups of their own, only rlimits and the watch over their memory: ${outside.reason}`;
  }
  const [{ version }] = outside.trees;
  const controllers = outside.trees.flatMap((tree) => tree.controllers).join(', ');
  return `each bot gets a cgroup of its own, made from outside its container (version ${version}: ${controllers})`;
}

function older(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) < 0;
}

function unfit(why: string): BunkhouseError {
  return new BunkhouseError('DRIVER_UNAVAILABLE', `the Docker engine is not fit for pools: ${why}`);
}
