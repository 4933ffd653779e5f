import type { DockerOptions } from 'dockerode';
import { BunkhouseError } from '../../domain/errors.ts';

/**
 * Where the engine listens, from a DOCKER_HOST. Throws DRIVER_UNAVAILABLE for an engine on
 * another machine: bots are published on its loopback address, where only its own machine reaches them.
 */
export function engineAddress(dockerHost: string): DockerOptions {
  if (dockerHost.startsWith('unix:///')) return unix(dockerHost.slice('unix://'.length));
  const url = URL.canParse(dockerHost) ? new URL(dockerHost) : null;
  if (url?.protocol === 'tcp:' && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)) {
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || '2375', protocol: 'http' };
  }
  throw new BunkhouseError(
    'DRIVER_UNAVAILABLE',
    `the Docker engine ${dockerHost} cannot be used: it must be on this machine, so give DOCKER_HOST or LOCATIONS unix:///path/to/docker.sock or tcp://127.0.0.1:PORT`,
  );
}

/** `host: undefined` keeps the client from taking one from the environment. */
const unix = (socketPath: string): DockerOptions => ({ host: undefined, socketPath, protocol: 'http' });
