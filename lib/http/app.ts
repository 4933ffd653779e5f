import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import Koa from 'koa';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import type { BackupApi } from '../services/backup-api.ts';
import type { Idempotency } from '../services/idempotency.ts';
import type { LeaseApi } from '../services/lease-api.ts';
import type { MigrationApi } from '../services/migration-api.ts';
import type { PoolApi } from '../services/pool-api.ts';
import type { Tokens } from '../services/tokens.ts';
import type { UpgradeApi } from '../services/upgrade-api.ts';
import type { UsageApi } from '../services/usage-api.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import { logServed } from './access-log.ts';
import type { Auth } from './auth.ts';
import type { Claims } from './claims.ts';
import type { Trusts } from './client.ts';
import { type CompatOptions, compatRoutes, compatWays } from './compat/compat.ts';
import type { Metrics } from './metrics.ts';
import { mount, type RequestState, refuseUnknown } from './mount.ts';
import { openapiDocument } from './openapi.ts';
import { problemOf } from './problem.ts';
import type { Route } from './route.ts';
import { backupRoutes } from './routes/backups.ts';
import { botRoutes } from './routes/bots.ts';
import { eventRoutes } from './routes/events.ts';
import { healthRoutes } from './routes/health.ts';
import { leaseRoutes } from './routes/leases.ts';
import { logRoutes } from './routes/logs.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { migrationRoutes } from './routes/migrations.ts';
import { openapiRoutes } from './routes/openapi.ts';
import { planRoutes } from './routes/plan.ts';
import { poolRoutes } from './routes/pool.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { upgradeRoutes } from './routes/upgrades.ts';
import { usageRoutes } from './routes/usage.ts';
import type { Visitors } from './visitors.ts';

/** The way to the bots themselves; the router has it. */
export interface Gateway {
  /** Null: not a bot's address. Throws what the caller is to be told. */
  admit(req: IncomingMessage): {
    readonly actor: Actor | null;
    /** For log and metrics. */
    readonly route: string;
    web(res: ServerResponse): Promise<void>;
    upgrade(socket: Duplex, head: Buffer, refuse: (error: BunkhouseError) => void): void;
  } | null;
  close(): void;
}

export interface HttpOptions {
  readonly api: PoolApi;
  readonly leases: LeaseApi;
  readonly backups: BackupApi;
  readonly upgrades: UpgradeApi;
  readonly migrations: MigrationApi;
  readonly usage: UsageApi;
  readonly tokens: Tokens;
  readonly idempotency: Idempotency;
  readonly auth: Auth;
  readonly gateway: Gateway;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly version: string;
  readonly maxBodyBytes: number;
  readonly compat: CompatOptions;
  readonly visitors: Visitors;
  /** Fronts whose word on where a request came from is taken. */
  readonly trusts: Trusts;
  readonly claims: Claims;
}

export interface HttpApp {
  /** For the server's `request`. */
  readonly callback: (req: IncomingMessage, res: ServerResponse) => void;
  /** For the server's `upgrade`. */
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** For the server's option `shouldUpgradeCallback`: whoever offers HTTP/2 besides is answered in HTTP/1.1. */
  readonly shouldUpgrade: (req: IncomingMessage) => boolean;
  readonly routes: readonly Route[];
  /** Ends event streams and WebSockets, which would hold up the server's close. */
  readonly close: () => void;
}

/** How long a caller may take to end a connection that we have ended. */
const LAST_LOOK_MS = 2_000;

/** The HTTP interface, without a server: main makes that, and closes it. */
export function createHttpApp(options: HttpOptions): HttpApp {
  const { gateway, metrics, api, leases, backups, upgrades } = options;
  const closing = new AbortController();
  metrics.observe(
    () => api.poolStatus(),
    () => leases.reserves(),
    () => backups.overview({ role: 'admin' }),
    () => upgrades.list(),
  );
  const routes = allRoutes(options);
  const router = mount(routes, { ...options, closing: closing.signal });
  const app = new Koa<RequestState>();
  app.use(observed(options));
  app.use(problems(options));
  app.use(async (ctx, next) => {
    const visit = gateway.admit(ctx.req);
    if (visit === null) return next();
    ctx.state.route = visit.route;
    ctx.state.actor = visit.actor;
    await visit.web(ctx.res);
    ctx.respond = false;
  });
  app.use(router.routes());
  app.use((ctx) => refuseUnknown(router, ctx.method, ctx.path));
  // Only what comes after the answer began: a caller that left, a stream that broke.
  app.on('error', (error) => options.logger.debug({ error: messageOf(error) }, 'a connection broke'));
  const serve = app.callback();
  return {
    callback(req, res) {
      const looking = options.claims.check(req);
      if (looking === null) void serve(req, res);
      else void looking.then(() => serve(req, res));
    },
    upgrade: (req, socket, head) => void upgrade(options, req, socket, head),
    shouldUpgrade: (req) => req.headers.upgrade?.toLowerCase() === 'websocket',
    routes,
    close: () => {
      closing.abort();
      gateway.close();
    },
  };
}

function allRoutes(options: HttpOptions): Route[] {
  const { api, leases, backups, usage, tokens, metrics, clock, version } = options;
  const routes: Route[] = [
    ...poolRoutes(api, leases),
    ...planRoutes(api),
    ...upgradeRoutes(options.upgrades),
    ...botRoutes(api),
    ...leaseRoutes(leases),
    ...backupRoutes(backups),
    ...migrationRoutes(options.migrations),
    ...compatRoutes(options.compat, leases, (group) => options.visitors.isOpen(group)),
    ...logRoutes(api, clock),
    ...eventRoutes(api),
    ...usageRoutes(usage),
    ...tokenRoutes(tokens),
    ...healthRoutes(api, version),
    ...metricsRoutes(metrics),
  ];
  const described = [...routes, ...openapiRoutes(() => document)];
  const ways = compatWays(options.compat, (group) => options.visitors.isOpen(group));
  const document = openapiDocument(described, version, ways);
  return described;
}

/** Gives each request an id and, when its answer ended, a log line and a measurement. */
function observed({ clock, logger, metrics }: HttpOptions): Koa.Middleware<RequestState> {
  return async (ctx, next) => {
    const began = clock.monotonic();
    ctx.state = { requestId: randomUUID(), route: 'none', actor: null };
    ctx.set('X-Request-Id', ctx.state.requestId);
    const { method, path } = ctx;
    ctx.res.once('close', () => {
      const ms = clock.monotonic() - began;
      const status = ctx.res.statusCode;
      logServed(logger, { ...ctx.state, method, path, status, ms });
      metrics.httpRequest({ method, route: ctx.state.route, status, seconds: ms / 1000 });
    });
    await next();
  };
}

/** Turns whatever is thrown into a problem document. Faults of ours are logged whole, once, here. */
function problems({ logger }: HttpOptions): Koa.Middleware<RequestState> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const { requestId } = ctx.state;
      const { problem, headers } = problemOf(error, requestId);
      if (problem.code === 'INTERNAL') logger.error({ requestId, err: error }, 'a request failed');
      ctx.status = problem.status;
      ctx.set(headers);
      ctx.body = JSON.stringify(problem);
    }
  };
}

async function upgrade(options: HttpOptions, req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const { gateway, logger, metrics, clock } = options;
  const requestId = randomUUID();
  const began = clock.monotonic();
  const served = { method: 'GET', route: '/bots/{id}/*', status: 101, path: (req.url ?? '').split('?')[0] ?? '' };
  let actor: Actor | null = null;
  socket.once('close', () => {
    const ms = clock.monotonic() - began;
    logServed(logger, { ...served, requestId, actor, ms });
    metrics.httpRequest({ ...served, seconds: ms / 1000 });
  });
  const refuse = (error: unknown): void => {
    const { problem, headers } = problemOf(error, requestId);
    if (problem.code === 'INTERNAL') logger.error({ requestId, err: error }, 'an upgrade failed');
    served.status = problem.status;
    if (socket.writable) socket.end(rawAnswer(problem.status, headers, JSON.stringify(problem)));
  };
  socket.on('error', (error) => logger.debug({ requestId, error: messageOf(error) }, 'a connection broke'));
  socket.once('finish', () => endSoon(socket, clock));
  const looking = options.claims.check(req);
  if (looking !== null) await looking;
  if (socket.destroyed) return;
  try {
    const visit = gateway.admit(req);
    if (visit === null)
      throw new BunkhouseError('NOT_FOUND', 'There is no WebSocket here; bots have theirs at /bots/ID/…');
    actor = visit.actor;
    served.route = visit.route;
    visit.upgrade(socket, head, refuse);
  } catch (error) {
    refuse(error);
  }
}

/** The server counts it among its own no more: a caller that was told all, and stays, would stay for ever. */
function endSoon(socket: Duplex, clock: Clock): void {
  const cancel = clock.after(LAST_LOOK_MS, () => socket.destroy());
  socket.once('close', cancel);
}

function rawAnswer(status: number, headers: Readonly<Record<string, string>>, body: string): string {
  const all = { ...headers, Connection: 'close', 'Content-Length': String(Buffer.byteLength(body)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}
