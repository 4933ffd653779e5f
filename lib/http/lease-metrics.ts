import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BunkhouseEvent } from '../domain/events.ts';
import type { ReserveStatus } from '../services/lease-api.ts';

/** Finer below a tenth of a second than others: handing out a warm bot is a matter of milliseconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

const PHASES = ['ready', 'warming', 'assigned', 'resetting'] as const;

export interface LeaseMetrics {
  /** One lease; the hit rate is the share of those that a warm bot waited for. */
  acquired(lease: { template: string; fromPool: boolean; seconds: number }): void;
  /** For the event log. */
  event(event: BunkhouseEvent): void;
  /** Sets the gauges. */
  reserves(statuses: readonly ReserveStatus[]): void;
}

export function leaseMetrics(registry: Registry): LeaseMetrics {
  const registers = [registry];
  const acquire = new Histogram({
    name: 'bunkhouse_lease_acquire_seconds',
    help: 'Time until a lease was durable, by whether a warm bot waited',
    labelNames: ['template', 'from_pool'] as const,
    buckets: SECONDS,
    registers,
  });
  const ended = new Counter({
    name: 'bunkhouse_leases_ended_total',
    help: 'Leases that ended, by how',
    labelNames: ['template', 'how'] as const,
    registers,
  });
  const labelNames = ['template', 'location'] as const;
  const target = new Gauge({
    name: 'bunkhouse_reserve_target',
    help: 'Warm bots to be kept ready',
    labelNames,
    registers,
  });
  const bots = new Gauge({
    name: 'bunkhouse_reserve_bots',
    help: 'Bots of a reserve by phase',
    labelNames: [...labelNames, 'phase'] as const,
    registers,
  });
  const refilling = new Gauge({
    name: 'bunkhouse_reserve_refilling',
    help: 'Whether warm bots are being made until the reserve is full',
    labelNames,
    registers,
  });
  const hitRate = new Gauge({
    name: 'bunkhouse_reserve_hit_rate',
    help: 'Share of the leases since the start that a warm bot waited for; absent before the first',
    labelNames,
    registers,
  });
  return {
    acquired: ({ template, fromPool, seconds }) =>
      acquire.observe({ template, from_pool: fromPool ? 'true' : 'false' }, seconds),
    event: (event) => {
      if (event.type === 'lease.ended') ended.inc({ template: event.template, how: event.how });
    },
    reserves: (statuses) => {
      for (const status of statuses) {
        const { template, location } = status;
        target.set({ template, location }, status.target);
        refilling.set({ template, location }, status.isRefilling ? 1 : 0);
        if (status.hitRate !== null) hitRate.set({ template, location }, status.hitRate);
        for (const phase of PHASES) bots.set({ template, location, phase }, status[phase]);
      }
    },
  };
}
