import { loggedLease } from '../domain/lease.ts';
import type { Actor } from '../domain/state.ts';
import type { Logger } from '../util/logger.ts';

export interface Served {
  readonly requestId: string;
  readonly method: string;
  readonly route: string;
  /** Without the query, which may carry a token. */
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  readonly actor: Actor | null;
}

/** Ids of leases are in these paths. */
const BY_LEASE = /^(\/(?:container|api\/leases|api\/v1\/demo)\/)([^/]+)/;

/** One line a request: failures of ours as warnings, changes and refusals as information, plain reading for debugging. */
export function logServed(logger: Logger, { actor, ms, ...served }: Served): void {
  const who = actor === null ? 'nobody' : actor.role === 'admin' ? 'admin' : actor.owner;
  const reading = served.method === 'GET' || served.method === 'HEAD';
  const level = served.status >= 500 ? 'warn' : served.status >= 400 || !reading ? 'info' : 'debug';
  const path = served.path.replace(BY_LEASE, (_, before: string, id: string) => before + loggedLease(id));
  logger[level](
    { ...served, path, ms: Math.round(ms), actor: who },
    `${served.method} ${served.route} ${served.status}`,
  );
}

/** For pino's `redact`: a second wall, should a request or a token ever be handed to the logger. */
export const LOG_REDACTION = {
  paths: [
    'token',
    'password',
    'authorization',
    'cookie',
    '*.token',
    '*.password',
    '*.authorization',
    '*.cookie',
    '*["x-bunkhouse-token"]',
    '*.headers.authorization',
    '*.headers.cookie',
    '*.headers["x-bunkhouse-token"]',
    '*.url',
  ],
  censor: '[redacted]',
};
