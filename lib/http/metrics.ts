import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { type BotRecord, poolKey } from '../domain/bot.ts';
import type { BunkhouseEvent } from '../domain/events.ts';
import type { Usage } from '../domain/usage.ts';
import type { BackupOverview } from '../services/backup-api.ts';
import type { ReserveStatus } from '../services/lease-api.ts';
import type { PoolStatus } from '../services/pool-api.ts';
import type { UpgradeView } from '../services/upgrade-api.ts';
import { type BackupMetrics, backupMetrics } from './backup-metrics.ts';
import { botSeries } from './bot-series.ts';
import { type LeaseMetrics, leaseMetrics } from './lease-metrics.ts';
import { moveMetrics } from './move-metrics.ts';
import { poolMetrics } from './pool-metrics.ts';
import { upgradeMetrics } from './upgrade-metrics.ts';

export interface MetricsOptions {
  /** Whether there are series of each bot. */
  readonly perBot: boolean;
}

export interface Metrics {
  readonly registry: Registry;
  /** For the event log's counterSink. */
  readonly events: { inc(labels: { readonly type: string }): void };
  /** For the driver's metrics decorator: one call, its outcome `ok` or an error code, its duration. */
  driverCall(method: string, outcome: string, seconds: number): void;
  httpRequest(request: { method: string; route: string; status: number; seconds: number }): void;
  /** For the meter of usage. */
  usage(bot: BotRecord, usage: Usage): void;
  /** For the event log: what is counted of bots. */
  event(event: BunkhouseEvent): void;
  readonly leases: LeaseMetrics;
  readonly backups: BackupMetrics;
  /** Pools, bots, reserves, backups and upgrades are read from here at each scrape. */
  observe(
    status: () => PoolStatus,
    reserves: () => readonly ReserveStatus[],
    overview: () => BackupOverview,
    upgrades: () => readonly UpgradeView[],
  ): void;
  text(): Promise<string>;
}

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];

/** All metrics of the supervisor, in a registry of their own so that two in one process do not mix. */
export function createMetrics({ perBot }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const events = new Counter({
    name: 'bunkhouse_events_total',
    help: 'Events by type',
    labelNames: ['type'] as const,
    registers,
  });
  const driver = new Histogram({
    name: 'bunkhouse_driver_call_seconds',
    help: 'Duration of calls to the driver and to containers',
    labelNames: ['method', 'outcome'] as const,
    buckets: SECONDS,
    registers,
  });
  const http = new Histogram({
    name: 'bunkhouse_http_request_seconds',
    help: 'Duration of HTTP requests, streams until they end',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: SECONDS,
    registers,
  });
  const cpu = new Counter({
    name: 'bunkhouse_pool_cpu_seconds_total',
    help: 'CPU time that the bots of a pool used, as far as it is counted',
    labelNames: ['pool'] as const,
    registers,
  });
  const fallbacks = new Counter({
    name: 'bunkhouse_legacy_fallbacks_total',
    help: 'Bots that got a container of their own because the pool could not take them, by what kept it from that',
    labelNames: ['template', 'reason'] as const,
    registers,
  });
  const pools = poolMetrics(registry);
  const leases = leaseMetrics(registry);
  const backups = backupMetrics(registry);
  const moves = moveMetrics(registry);
  let status: (() => PoolStatus) | null = null;
  let reserves: (() => readonly ReserveStatus[]) | null = null;
  const upgrades = upgradeMetrics(registry);
  let overview: (() => BackupOverview) | null = null;
  let upgradeViews: (() => readonly UpgradeView[]) | null = null;
  return {
    registry,
    events,
    driverCall: (method, outcome, seconds) => driver.observe({ method, outcome }, seconds),
    httpRequest: ({ method, route, status, seconds }) => http.observe({ method, route, status }, seconds),
    usage: (bot, { cpuSeconds }) => cpu.inc({ pool: poolKey(bot) }, cpuSeconds),
    event(event) {
      moves(event);
      if (event.type === 'bot.fallback') fallbacks.inc({ template: event.template, reason: event.reason });
    },
    leases,
    backups,
    observe: (poolStatus, reserveStatus, backupOverview, views) => {
      upgradeViews = views;
      status = poolStatus;
      reserves = reserveStatus;
      overview = backupOverview;
    },
    async text() {
      const now = status?.();
      if (now !== undefined) pools(now);
      if (reserves !== null) leases.reserves(reserves());
      if (upgradeViews !== null) upgrades(upgradeViews());
      const kept = overview?.();
      if (kept !== undefined) backups.set(kept);
      const text = await registry.metrics();
      if (!perBot || now === undefined) return text;
      return text + botSeries(now) + (kept === undefined ? '' : backups.botSeries(kept));
    },
  };
}
