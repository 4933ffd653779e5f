import { BunkhouseError } from '../../domain/errors.ts';
import type { Capabilities } from '../driver.ts';
import type { EngineFacts } from './engine.ts';

/** Engine API of Docker 20.10. */
const OLDEST_API = '1.41';

/** What this engine allows. Throws DRIVER_UNAVAILABLE with what to do when pools cannot run on it. */
export function capabilitiesOf(facts: EngineFacts): Capabilities {
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
      ...facts.missingLimits.map((limit) => `the kernel of this engine cannot limit ${limit} of a container`),
    ],
  };
}

function older(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) < 0;
}

function unfit(why: string): BunkhouseError {
  return new BunkhouseError('DRIVER_UNAVAILABLE', `the Docker engine is not fit for pools: ${why}`);
}
