import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import { join, resolve } from 'node:path';
import pino from 'pino';
import { createFolderVault } from './backup/folder.ts';
import { openVault } from './backup/open.ts';
import type { Vault } from './backup/vault.ts';
import { ensureAdminToken } from './config/admin-token.ts';
import { loadAllTemplates } from './config/built-in-templates.ts';
import { compatNames, compatTemplates, compatWarnings } from './config/compat.ts';
import { loadConfig } from './config/config.ts';
import { locationsOf, reserveWarnings } from './config/locations.ts';
import type { Config } from './config/settings.ts';
import { BunkhouseError, messageOf } from './domain/errors.ts';
import { createEventLog } from './events/event-log.ts';
import { counterSink, loggerSink } from './events/sinks.ts';
import { LOG_REDACTION } from './http/access-log.ts';
import { createHttpApp, type HttpApp } from './http/app.ts';
import { createAuth } from './http/auth.ts';
import { createClaims } from './http/claims.ts';
import { createMetrics, type Metrics } from './http/metrics.ts';
import { createVisitors } from './http/visitors.ts';
import { listen, stopServer } from './listen.ts';
import { addressesOf, openDoor } from './open-door.ts';
import { connectDriver } from './open-driver.ts';
import { openMigrations } from './open-migrations.ts';
import { openState } from './open-state.ts';
import { createProber } from './probes/prober.ts';
import { createContainerPaths } from './router/container-path.ts';
import { createBotGateway } from './router/gateway.ts';
import { createBotProxy } from './router/proxy.ts';
import { createTrust } from './router/trust.ts';
import { type Accounts, openAccounts } from './services/accounts.ts';
import { type BackupOptions, Backups } from './services/backups.ts';
import type { Dependencies } from './services/dependencies.ts';
import { createIdempotency } from './services/idempotency.ts';
import { Leases } from './services/leases.ts';
import { Migrations } from './services/migrations.ts';
import type { PoolOptions } from './services/pool-api.ts';
import { PoolIntegration } from './services/pool-integration.ts';
import { Reconciler } from './services/reconciler.ts';
import { Shelf } from './services/shelf.ts';
import { stopContainers } from './services/stop-containers.ts';
import { stopGrace } from './services/stop-grace.ts';
import { createTokens } from './services/tokens.ts';
import { Upgrades } from './services/upgrades.ts';
import { createUsageApi } from './services/usage-report.ts';
import { createUsageFiles } from './store/usage-files.ts';
import { systemClock as clock } from './util/clock.ts';
import { fitHeapToWork, ownUtilization } from './util/heap.ts';
import type { Logger } from './util/logger.ts';
import { serviceManager } from './util/sd-notify.ts';
import { SocketOwners } from './util/socket-owner.ts';
import { hashToken, newToken } from './util/token.ts';

const ROOT = resolve(import.meta.dirname, '..');
const EVENTS_KEPT = 10_000;
/** Nice value. */
const PRECEDENCE = -5;
/** Longest time between two passes for which the watchdog still counts the supervisor as alive. */
const STALLED_MS = 120_000;

export interface Running {
  readonly url: string;
  /** Resolves when another supervisor leads, or may: this one must end at once and touch nothing. */
  readonly lost: Promise<BunkhouseError>;
  /** Ends the supervisor. Bots go on, unless STOP_ON_EXIT says otherwise. */
  close(): Promise<void>;
}

/** Puts everything together and starts it. Resolves when the API listens; throws a BunkhouseError that says what to do. */
export async function serve(config: Config, env: NodeJS.ProcessEnv, log: Logger): Promise<Running> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse().splice(0)) {
      await Promise.resolve(closer()).catch((error: unknown) => log.error({ err: error }, 'closing failed'));
    }
  };
  try {
    const adminToken = await ensureAdminToken(config.adminTokenFile, newToken);
    const templates = await loadAllTemplates(join(ROOT, 'templates'), config.templateDir, [
      config.defaultTemplate,
      ...compatNames(config),
    ]);
    const warnings = [...reserveWarnings(config, templates), ...compatWarnings(config, templates)];
    for (const warning of warnings) log.warn({}, warning);
    const version = await ownVersion();
    let healthy = (): boolean => true;
    const manager = serviceManager({
      socket: env.NOTIFY_SOCKET,
      watchdogUsec: env.WATCHDOG_USEC,
      clock,
      log,
      healthy: () => healthy(),
    });
    closers.push(() => manager.close());
    const { store, lost, endStandby } = await openState(config, version, { log, manager });
    closers.push(() => store.close());
    closers.push(endStandby);
    const metrics = createMetrics({ perBot: config.metricsPerBot });
    const { driver, at, unreachable } = await connectDriver(config, { store, metrics, log, root: ROOT });
    closers.push(() => driver.close());
    const accounts = await openAccounts({
      store: createUsageFiles({ folder: join(config.dataDir, 'usage'), clock, log }),
      clock,
      log,
      onUsage: metrics.usage,
    });
    closers.push(() => accounts.close());
    const prober = createProber();
    closers.push(() => prober.close());
    const door = openDoor(config, log);
    closers.push(() => door?.front.close());
    const newId = (): string => randomBytes(10).toString('hex');
    const shelfOf = (vault: Vault): Shelf => new Shelf({ vault, clock, log, newId });
    const deps: Dependencies = {
      store,
      driver,
      at,
      prober,
      templates,
      clock,
      log,
      archives: shelfOf(createFolderVault(join(config.dataDir, 'archives'))),
      backups: shelfOf(await openVault(config.backupUrl)),
      carried: shelfOf(createFolderVault(join(config.dataDir, 'moves'))),
      limits: {
        instanceName: config.instanceName,
        poolMode: config.poolModeEnabled,
        maxBotsPerContainer: config.maxBotsPerContainer,
        basePort: config.poolBasePort,
        bindHost: (location) => at(location).bindHost,
        consolidateMovesPerHour: config.consolidateMovesPerHour,
      },
      containerLimits: {
        memoryBytes: config.containerMemoryBytes,
        cpus: config.containerCpus,
        processes: config.containerPids,
      },
      reserve: {
        target: config.poolTargetSize,
        locationTargets: config.poolLocationTargets,
        min: config.poolMinSize,
        max: config.poolMaxSize,
        batchSize: config.poolBatchSize,
        batchSpacingSeconds: config.poolBatchSpacingSeconds,
      },
      locations: locationsOf(config),
      unreachable,
      newId,
      random: Math.random,
      secret: (bytes) => randomBytes(bytes).toString('base64url'),
      events: createEventLog({
        clock,
        capacity: EVENTS_KEPT,
        sinks: [
          loggerSink(log),
          counterSink(metrics.events),
          ({ event }) => metrics.event(event),
          ({ event }) => metrics.leases.event(event),
          ({ event }) => metrics.backups.event(event),
        ],
        logger: log,
      }),
      door,
      alone: accounts.alone,
      ...(await openMigrations(config)),
    };
    const reconciler = new Reconciler(deps);
    closers.push(() => stopReconciler(reconciler, config.stopOnExit, deps));
    reconciler.onPicture((world) => accounts.observe(world));
    await reconciler.start(config.healthCheckIntervalMs);
    closers.push(() => deps.backups.close());
    const backups = new Backups(deps, reconciler, backupOptions(config));
    closers.push(() => backups.close());
    const migrations = new Migrations(deps, reconciler, poolOptions(config));
    closers.push(() => migrations.close());
    const app = await createApp(config, deps, { reconciler, accounts, backups, migrations }, metrics, adminToken);
    backups.start();
    migrations.start();
    await endStandby();
    const server = await listen(config, app, log);
    closers.push(() => stopServer(server, app));
    healthy = () => clock.monotonic() - reconciler.lastPassAt < STALLED_MS + config.healthCheckIntervalMs;
    await manager.ready(`listening on ${config.host}:${config.port}`);
    closers.push(() => manager.stopping());
    return { url: `http://${config.host}:${config.port}`, lost, close };
  } catch (error) {
    await close();
    throw error;
  }
}

// Private

async function createApp(
  config: Config,
  deps: Dependencies,
  {
    reconciler,
    accounts,
    backups,
    migrations,
  }: { reconciler: Reconciler; accounts: Accounts; backups: Backups; migrations: Migrations },
  metrics: Metrics,
  adminToken: string,
): Promise<HttpApp> {
  const options = poolOptions(config);
  const api = new PoolIntegration(deps, reconciler, options);
  const quotas = { hourly: config.rateLimitHourly, daily: config.rateLimitDaily };
  const leases = new Leases(deps, reconciler, { ...options, ...quotas, onAcquired: metrics.leases.acquired });
  const tokens = createTokens({ store: deps.store, clock });
  const auth = createAuth({ adminTokenHash: hashToken(adminToken), findByHash: (hash) => tokens.findByHash(hash) });
  const trusts = createTrust(config.trustedProxies);
  const visitors = createVisitors({ open: config.compatPublic, trusts, clock });
  const templates = compatTemplates(config, deps.templates);
  const gateway = createBotGateway({
    proxy: createBotProxy({ trusts, prove: (bot, life) => api.prove(bot, life), clock }),
    actorOf: (token) => auth.actorOf(token),
    api,
    baseDomain: config.baseDomain,
    otherAddresses: createContainerPaths({
      leases,
      template: templates.container,
      admitVisitor: (req) => visitors.admit('container', req),
    }),
    clock,
  });
  const idempotency = createIdempotency({ store: deps.store, clock });
  const { maxBodyBytes } = config;
  return createHttpApp({
    api,
    leases,
    backups,
    upgrades: new Upgrades(deps, reconciler, options),
    migrations,
    usage: createUsageApi(accounts.usage, clock),
    tokens,
    idempotency,
    auth,
    gateway,
    metrics,
    logger: deps.log,
    clock,
    version: await ownVersion(),
    maxBodyBytes,
    compat: { templates, demoAdminPath: config.compatDemoAdminPath },
    visitors,
    trusts,
    claims: createClaims({ trusts, firstBotUid: isRoot() ? config.uidBase : null, owners: new SocketOwners() }),
  });
}

function poolOptions(config: Config): PoolOptions {
  return { defaultTemplate: config.defaultTemplate, addresses: addressesOf(config) };
}

function backupOptions(config: Config): BackupOptions {
  const { backupSchedule: schedule, backupKeep: keep, backupParallel: parallel } = config;
  const { archiveKeepDays: keepDeletedDays } = config;
  return {
    ...poolOptions(config),
    schedule,
    keep,
    parallel,
    keepDeletedDays,
    spreadMs: config.backupSpreadMinutes * 60_000,
  };
}

/** Otherwise bots run as the user of Bunkhouse, and there is no wall between them at all. */
const isRoot = (): boolean => process.getuid?.() === 0;

async function ownVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return version;
}

async function stopReconciler(reconciler: Reconciler, botsToo: boolean, deps: Dependencies): Promise<void> {
  await reconciler.close();
  if (botsToo) await stopContainers(deps.driver, stopGrace(deps.templates), deps.log);
}

/** Callers wait for this process; for what containers do after an answer nobody does. Where somebody chose a nice value, it stays. */
function takePrecedence(): void {
  try {
    if (getPriority() === 0) setPriority(PRECEDENCE);
  } catch {
    // Not root: then all are equal.
  }
}

/** The first signal ends in order; the second at once, which is safe too, only less polite to callers. */
async function main(): Promise<void> {
  takePrecedence();
  fitHeapToWork(clock, ownUtilization());
  const { config, warnings } = loadConfig(process.env);
  const log = pino({ level: config.logLevel, redact: LOG_REDACTION, base: null });
  for (const warning of warnings) log.warn({}, warning);
  const running = await serve(config, process.env, log);
  log.info({ url: running.url, adminTokenFile: config.adminTokenFile }, `Bunkhouse listens on ${running.url}`);
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    for (const again of ['SIGINT', 'SIGTERM'] as const) process.once(again, () => process.exit(130));
    log.info({ signal }, 'stopping');
    await running.close();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(signal));
  // Not in order: what would be finished now is another supervisor's business.
  const reason = await running.lost;
  log.error({}, reason.message);
  process.exit(1);
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    process.stderr.write(`bunkhouse: ${messageOf(error)}\n`);
    if (!(error instanceof BunkhouseError)) process.stderr.write(`${error instanceof Error ? error.stack : ''}\n`);
    process.exit(1);
  });
}
