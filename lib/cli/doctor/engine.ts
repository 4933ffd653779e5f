import { enginesOf } from '../../config/locations.ts';
import type { Machine } from './machine.ts';

/** What a Docker engine, by default the first one, answers to a GET of `path`. */
export function askEngine(
  machine: Machine,
  path: string,
  dockerHost = enginesOf(machine.config)[0]?.dockerHost ?? machine.config.dockerHost,
): ReturnType<Machine['getJson']> {
  const socket = dockerHost.startsWith('unix://') ? dockerHost.slice('unix://'.length) : undefined;
  const url = socket === undefined ? dockerHost.replace('tcp:', 'http:') : 'http://docker';
  return machine.getJson(`${url}${path}`, socket);
}
