import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { createFolderVault } from '../../lib/backup/folder.ts';
import { createInspector } from '../../lib/backup/sqlite-inspector.ts';
import { parseTemplate } from '../../lib/config/template.ts';
import type { Addresses } from '../../lib/domain/hosts.ts';
import type { CompatGroup } from '../../lib/domain/visitor.ts';
import { MemoryForeignHost } from '../../lib/drivers/memory/foreign.ts';
import type { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import { createEventLog } from '../../lib/events/event-log.ts';
import { counterSink, loggerSink } from '../../lib/events/sinks.ts';
import { LOG_REDACTION } from '../../lib/http/access-log.ts';
import { createHttpApp, type HttpApp } from '../../lib/http/app.ts';
import { createAuth } from '../../lib/http/auth.ts';
import { createClaims } from '../../lib/http/claims.ts';
import { createMetrics } from '../../lib/http/metrics.ts';
import { createVisitors } from '../../lib/http/visitors.ts';
import { createProber } from '../../lib/probes/prober.ts';
import { createContainerPaths } from '../../lib/router/container-path.ts';
import { createBotGateway } from '../../lib/router/gateway.ts';
import { createBotProxy } from '../../lib/router/proxy.ts';
import { createTrust } from '../../lib/router/trust.ts';
import { openAccounts } from '../../lib/services/accounts.ts';
import { Backups } from '../../lib/services/backups.ts';
import type { Dependencies } from '../../lib/services/dependencies.ts';
import { createIdempotency } from '../../lib/services/idempotency.ts';
import { Leases } from '../../lib/services/leases.ts';
import { Migrations } from '../../lib/services/migrations.ts';
import { PoolIntegration } from '../../lib/services/pool-integration.ts';
import { Reconciler } from '../../lib/services/reconciler.ts';
import { Shelf } from '../../lib/services/shelf.ts';
import { createTokens } from '../../lib/services/tokens.ts';
import { Upgrades } from '../../lib/services/upgrades.ts';
import { createUsageApi } from '../../lib/services/usage-report.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { createUsageFiles } from '../../lib/store/usage-files.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { SocketOwners } from '../../lib/util/socket-owner.ts';
import { hashToken, newToken } from '../../lib/util/token.ts';
import { BY_PATH } from '../support/addresses.ts';
import { lookHere } from '../support/look-here.ts';

const TEMPLATE = `
name: demo
description: a program that is not really there
command: [/bin/true]
secrets: { password: {} }
readiness: { kind: process }
backoff: { minSeconds: 0.1, maxSeconds: 1 }
`;

/** Its bots are to be forked. */
const FORKED = `${TEMPLATE.replace('name: demo', 'name: forked')}prefork: { entry: app:main, merge: on }
`;

/** Its bots share a service. */
const SERVED = `${TEMPLATE.replace('name: demo', 'name: served')}services: { store: { command: [/bin/true] } }
`;

export interface Call {
  /** The administrator's when left out; null: none. */
  readonly token?: string | null;
  readonly body?: unknown;
  /** Sent as it is. */
  readonly raw?: string | Buffer | undefined;
  readonly headers?: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export interface App extends AsyncDisposable {
  readonly http: HttpApp;
  readonly port: number;
  readonly adminToken: string;
  readonly store: Store;
  readonly world: MemoryWorld;
  call(method: string, path: string, call?: Call): Promise<Answer>;
  ownerToken(owner: string): Promise<string>;
  start(): Promise<void>;
  /** Waits until every bot is as it is wanted. */
  settled(): Promise<void>;
  connections(): Promise<number>;
  logLines(): Record<string, unknown>[];
  readonly folder: string;
  /** `keepFolder`: another app goes on from there. */
  close(options?: { readonly keepFolder?: boolean }): Promise<void>;
}

export interface AppOptions {
  readonly maxBodyBytes?: number;
  /** Whether the reconciler is started. */
  readonly start?: boolean;
  /** Ports of the make-believe containers begin here: give it that of a real server, and the first bot is that. */
  readonly basePort?: number;
  /** Whether the metrics have series of each bot. */
  readonly perBot?: boolean;
  /** Of the template's `lease`, in YAML; left out, its bots are not handed out on lease. */
  readonly lease?: string;
  /** Most leasable bots. */
  readonly most?: number;
  /** Labels only; the first is the default. `local` when left out. */
  readonly locations?: readonly [string, ...string[]];
  /** Groups of compat routes, of template `demo`, and those of them that are public with their requests a minute. */
  readonly compat?: readonly CompatGroup[];
  readonly open?: Partial<Record<CompatGroup, number>>;
  readonly quotas?: { readonly hourly: number | null; readonly daily: number | null };
  /** Bots are reached by path only when left out. */
  readonly addresses?: Addresses;
  /** Callers of this machine with this uid or one above are taken for bots; nobody when left out. */
  readonly firstBotUid?: number | null;
  /** An earlier app's, so that this one goes on where that ended. */
  readonly folder?: string;
}

/** The real services and the HTTP interface on a free port, over the memory driver: no process but this one. */
export async function startApp({
  maxBodyBytes = 1 << 20,
  start = true,
  basePort = 9000,
  perBot = true,
  lease = 'null',
  most = 100,
  locations = ['local'],
  compat = [],
  open = {},
  quotas = { hourly: null, daily: null },
  addresses = BY_PATH,
  firstBotUid = null,
  folder: given,
}: AppOptions = {}): Promise<App> {
  const folder = given ?? (await mkdtemp(join(tmpdir(), 'bunkhouse-http-')));
  const lines: string[] = [];
  const log = pino(
    { level: 'debug', redact: LOG_REDACTION, base: null },
    { write: (line: string) => lines.push(line) },
  );
  const store = await openFileStore({ path: join(folder, 'state.json'), clock, log });
  const driver = new MemoryDriver({ clock });
  const metrics = createMetrics({ perBot });
  const usageFiles = createUsageFiles({ folder: join(folder, 'usage'), clock, log });
  const accounts = await openAccounts({ store: usageFiles, clock, log, onUsage: metrics.usage });
  const newId = (): string => randomBytes(10).toString('hex');
  const shelf = (name: string): Shelf => new Shelf({ vault: createFolderVault(join(folder, name)), clock, log, newId });
  const deps: Dependencies = {
    store,
    driver,
    prober: createProber(),
    archives: shelf('archives'),
    backups: shelf('backups'),
    carried: shelf('moves'),
    templates: new Map([
      ['demo', parseTemplate(`${TEMPLATE}lease: ${lease}\n`, 'demo.yaml')],
      ['forked', parseTemplate(FORKED, 'forked.yaml')],
      ['served', parseTemplate(SERVED, 'served.yaml')],
    ]),
    limits: {
      poolMode: true,
      instanceName: 'test',
      maxBotsPerContainer: 10,
      basePort,
      bindHost: () => driver.bindHost,
      consolidateMovesPerHour: 0,
    },
    containerLimits: { memoryBytes: null, cpus: null, processes: null },
    reserve: { target: 0, locationTargets: new Map(), min: 0, max: most, batchSize: 10, batchSpacingSeconds: 0 },
    newId,
    locations: { default: locations[0], all: locations },
    unreachable: () => new Map(),
    at: () => driver,
    clock,
    log,
    random: Math.random,
    secret: (bytes) => randomBytes(bytes).toString('base64url'),
    events: createEventLog({
      clock,
      capacity: 1000,
      sinks: [
        loggerSink(log),
        counterSink(metrics.events),
        ({ event }) => metrics.event(event),
        ({ event }) => metrics.leases.event(event),
        ({ event }) => metrics.backups.event(event),
      ],
      logger: log,
    }),
    door: null,
    alone: accounts.alone,
    foreign: new MemoryForeignHost(driver.world),
    inspector: createInspector(lookHere),
    spool: join(folder, 'migrating'),
    spaces: [folder],
  };
  const reconciler = new Reconciler(deps);
  reconciler.onPicture((world) => accounts.observe(world));
  const options = { defaultTemplate: 'demo', addresses };
  const api = new PoolIntegration(deps, reconciler, options);
  const leases = new Leases(deps, reconciler, { ...options, ...quotas, onAcquired: metrics.leases.acquired });
  const backups = new Backups(deps, reconciler, {
    ...options,
    schedule: null,
    spreadMs: 0,
    keep: { last: 3, daily: 0, weekly: 0 },
    parallel: 2,
    keepDeletedDays: null,
  });
  const tokens = createTokens({ store, clock });
  const adminToken = newToken();
  const auth = createAuth({ adminTokenHash: hashToken(adminToken), findByHash: tokens.findByHash });
  const trusts = createTrust(['127.0.0.1']);
  const visitors = createVisitors({ open: new Map(Object.entries(open) as [CompatGroup, number][]), trusts, clock });
  const templateOf = (group: CompatGroup): string | null => (compat.includes(group) ? 'demo' : null);
  const gateway = createBotGateway({
    otherAddresses: createContainerPaths({
      leases,
      template: templateOf('container'),
      admitVisitor: (req) => visitors.admit('container', req),
    }),
    proxy: createBotProxy({ trusts, prove: (bot, life) => api.prove(bot, life), clock }),
    actorOf: auth.actorOf,
    api,
    baseDomain: addresses.baseDomain,
    clock,
  });
  const idempotency = createIdempotency({ store, clock });
  const http = createHttpApp({
    api,
    leases,
    backups,
    upgrades: new Upgrades(deps, reconciler, options),
    migrations: new Migrations(deps, reconciler, options),
    usage: createUsageApi(accounts.usage, clock),
    tokens,
    idempotency,
    auth,
    gateway,
    metrics,
    logger: log,
    clock,
    version: '0.0.0',
    maxBodyBytes,
    compat: {
      templates: { site: templateOf('site'), container: templateOf('container'), demo: templateOf('demo') },
      demoAdminPath: 'admin/',
    },
    visitors,
    trusts,
    claims: createClaims({ trusts, firstBotUid, owners: new SocketOwners() }),
  });
  const server = createServer({ shouldUpgradeCallback: http.shouldUpgrade }, http.callback);
  server.on('upgrade', http.upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const settledNow = (): boolean =>
    api
      .listBots({ role: 'admin' }, {})
      .bots.every((bot) => !bot.deleting && bot.state === (bot.desired === 'stopped' ? 'stopped' : 'running'));

  async function settled(): Promise<void> {
    const deadline = clock.monotonic() + 10_000;
    do {
      await reconciler.settled();
      if (clock.monotonic() > deadline) throw new Error('the bots did not become what they are wanted to be');
      await clock.sleep(5);
    } while (!settledNow());
  }

  async function close({ keepFolder = false } = {}): Promise<void> {
    http.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    backups.close();
    await reconciler.close();
    await accounts.close();
    driver.world.close();
    await driver.close();
    await deps.prober.close();
    await store.close();
    if (!keepFolder) await rm(folder, { recursive: true });
  }

  const app: App = {
    http,
    folder,
    port,
    adminToken,
    store,
    world: driver.world,
    call: (method, path, call = {}) => send(port, method, path, { token: adminToken, ...call }),
    ownerToken: async (owner) => (await tokens.create({ role: 'owner', owner })).token,
    start: async () => {
      await reconciler.start(60_000);
      backups.start();
    },
    settled,
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    logLines: () => lines.map((line) => JSON.parse(line)),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
  if (start) await app.start();
  return app;
}

/** Sends a request as it is: `fetch` would tidy up paths and refuse some methods and headers. */
function send(port: number, method: string, path: string, call: Call): Promise<Answer> {
  const { token, body, raw } = call;
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const headers = {
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
    ...call.headers,
  };
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (res) => {
      const whole = res.setEncoding('utf8').reduce((all, chunk) => all + chunk, '');
      whole.then((text) => {
        const isJson = /json/.test(res.headers['content-type'] ?? '') && text !== '';
        resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json: isJson ? JSON.parse(text) : {} });
      }, reject);
    });
    req.on('error', reject);
    req.end(payload);
  });
}
