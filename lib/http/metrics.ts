import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { BOT_STATES } from '../domain/bot.ts';
import type { ContainerView, PoolStatus } from '../services/pool-api.ts';

export interface Metrics {
  readonly registry: Registry;
  /** For the event log's counterSink. */
  readonly events: { inc(labels: { readonly type: string }): void };
  /** For the driver's metrics decorator: one call, its outcome `ok` or an error code, its duration. */
  driverCall(method: string, outcome: string, seconds: number): void;
  httpRequest(request: { method: string; route: string; status: number; seconds: number }): void;
  /** Pools and bots are read from here at each scrape. */
  observePools(status: () => PoolStatus): void;
  text(): Promise<string>;
}

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];

/** All metrics of the supervisor, in a registry of their own so that two in one process do not mix. */
export function createMetrics(): Metrics {
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
  const pools = poolGauges(registry);
  let refresh = (): void => {};
  return {
    registry,
    events,
    driverCall: (method, outcome, seconds) => driver.observe({ method, outcome }, seconds),
    httpRequest: ({ method, route, status, seconds }) => http.observe({ method, route, status }, seconds),
    observePools: (status) => {
      refresh = () => pools(status());
    },
    text: () => {
      refresh();
      return registry.metrics();
    },
  };
}

/** Gauges of pools and bots, and the function that sets them all from one status. */
function poolGauges(registry: Registry): (status: PoolStatus) => void {
  const registers = [registry];
  const states = new Gauge({
    name: 'bunkhouse_bots',
    help: 'Bots by observed state',
    labelNames: ['state'] as const,
    registers,
  });
  const perPool = PER_POOL.map(({ name, help, measure }) => ({
    gauge: new Gauge({ name, help, labelNames: ['pool'] as const, registers }),
    measure,
  }));
  return ({ health, pools }) => {
    for (const state of BOT_STATES) states.set({ state }, health.bots[state]);
    for (const { gauge, measure } of perPool) {
      gauge.reset();
      for (const view of pools) gauge.inc({ pool: `${view.template}/${view.group}/${view.location}` }, measure(view));
    }
  };
}

const PER_POOL: readonly { name: string; help: string; measure: (container: ContainerView) => number }[] = [
  { name: 'bunkhouse_pool_containers', help: 'Containers of a pool', measure: () => 1 },
  { name: 'bunkhouse_pool_slots', help: 'Slots of a pool', measure: (view) => view.capacity },
  { name: 'bunkhouse_pool_bots', help: 'Bots in a pool', measure: (view) => view.botsCount },
  {
    name: 'bunkhouse_pool_pss_bytes',
    help: 'Memory of a pool, shared pages counted once',
    measure: (view) => view.memory?.pssBytes ?? 0,
  },
];
