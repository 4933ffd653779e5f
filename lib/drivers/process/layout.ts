import { join } from 'node:path';
import { BunkhouseError } from '../../domain/errors.ts';
import { CONTAINER_NAME } from '../../domain/ids.ts';

/** Where the files of one container are. The plugin's share of the directory is described in lib/README.md. */
export interface Layout {
  readonly directory: string;
  readonly labels: string;
  readonly config: string;
  readonly socket: string;
  readonly pidFile: string;
  readonly log: string;
  /** What supervisord writes before its log is open: errors of its configuration. */
  readonly output: string;
  readonly fences: string;
}

/** An address of a Unix socket holds 107 bytes. */
const LONGEST_SOCKET_PATH = 107;
/** The longest one below the directory; supervisord binds its own under a name with a pid at its end first. */
const LONGEST_SOCKET = 'run/notify/9999/notify.sock';

export function containersDirectory(dataDir: string): string {
  return join(dataDir, 'containers');
}

/** Throws INVALID for a name that is no name of a container. */
export function layoutOf(dataDir: string, name: string): Layout {
  if (!CONTAINER_NAME.test(name))
    throw new BunkhouseError('INVALID', `${JSON.stringify(name)} is no name of a container`);
  const directory = join(containersDirectory(dataDir), name);
  return {
    directory,
    labels: join(directory, 'container.json'),
    config: join(directory, 'supervisord.conf'),
    socket: join(directory, 'supervisor.sock'),
    pidFile: join(directory, 'supervisord.pid'),
    log: join(directory, 'supervisord.log'),
    output: join(directory, 'supervisord.out'),
    fences: join(directory, 'fences.json'),
  };
}

/** Throws INVALID when Unix sockets in the container's directory would have addresses that are too long. */
export function checkSocketPaths({ directory }: Layout): void {
  const excess = Buffer.byteLength(join(directory, LONGEST_SOCKET)) - LONGEST_SOCKET_PATH;
  if (excess <= 0) return;
  const message = `${directory} is ${excess} bytes too long for Unix sockets in it: choose a shorter DATA_DIR`;
  throw new BunkhouseError('INVALID', message);
}
