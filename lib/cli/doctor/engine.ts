import type { Machine } from './machine.ts';

/** What the Docker engine of the settings answers to a GET of `path`. */
export function askEngine(machine: Machine, path: string): ReturnType<Machine['getJson']> {
  const { dockerHost } = machine.config;
  const socket = dockerHost.startsWith('unix://') ? dockerHost.slice('unix://'.length) : undefined;
  const url = socket === undefined ? dockerHost.replace('tcp:', 'http:') : 'http://docker';
  return machine.getJson(`${url}${path}`, socket);
}
