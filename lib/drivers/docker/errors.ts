import { BunkhouseError, messageOf } from '../../domain/errors.ts';

/** Codes of errors that come from the way to the engine, not from the engine. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: start Docker, or set DOCKER_HOST to where it listens',
  ECONNREFUSED: 'nobody listens there: start Docker, or set DOCKER_HOST to where it listens',
  EACCES: 'this user may not use it: add the user to the group "docker", or run as root',
  ENOTFOUND: 'its host name is not known: correct DOCKER_HOST',
  EAI_AGAIN: 'its host name cannot be looked up now: correct DOCKER_HOST or try again',
  EHOSTUNREACH: 'there is no way to its host: correct DOCKER_HOST',
  ETIMEDOUT: 'it did not answer: look whether Docker is alive',
  ECONNRESET: 'it broke off the connection: look whether Docker is alive',
  EPIPE: 'it broke off the connection: look whether Docker is alive',
};

/** HTTP status of the engine's answer; null when the error is none of its answers. */
export function engineStatus(error: unknown): number | null {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : null;
  return typeof status === 'number' ? status : null;
}

/** Whatever a call to the engine threw, as an error that crosses layers. `doing` completes "the Docker engine could not …". */
export function engineError(error: unknown, doing: string): BunkhouseError {
  if (error instanceof BunkhouseError) return error;
  const status = engineStatus(error);
  if (status === null || status === 503) return unavailable(error);
  const said = engineMessage(error);
  const port = takenPort(said);
  if (port !== null) {
    return new BunkhouseError('PORT_IN_USE', `the Docker engine could not ${doing}: port ${port} is taken`, {
      cause: error,
      details: { port },
    });
  }
  return new BunkhouseError('INTERNAL', `the Docker engine could not ${doing}: ${said}`, { cause: error });
}

/** The port that the engine found taken: by another container, or by a process of the host. */
export function takenPort(message: string): number | null {
  const taken =
    /:(\d+) failed: port is already allocated/.exec(message) ??
    /listen (?:tcp|udp)\d? \S*:(\d+): bind: address already in use/.exec(message);
  return taken === null ? null : Number(taken[1]);
}

function unavailable(error: unknown): BunkhouseError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const advice = UNREACHABLE[code] ?? 'look whether Docker is alive';
  return new BunkhouseError(
    'DRIVER_UNAVAILABLE',
    `the Docker engine cannot be reached (${messageOf(error)}): ${advice}`,
    {
      cause: error,
    },
  );
}

/** The engine's own words, without the client's wrapping. */
function engineMessage(error: unknown): string {
  return messageOf(error)
    .replace(/^\(HTTP code \d+\) .*? - /s, '')
    .trim();
}
