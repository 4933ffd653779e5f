import { Gauge, type Registry } from 'prom-client';
import { UPGRADE_STATUSES } from '../domain/upgrade.ts';
import type { UpgradeView } from '../services/upgrade-api.ts';

const COUNTS: Readonly<Record<string, (view: UpgradeView) => number>> = {
  moved: ({ moved }) => moved,
  moving: ({ onTheirWay }) => onTheirWay.length,
  left: ({ left }) => left,
  held: ({ heldBack }) => heldBack.length,
  failed: ({ failures }) => failures.length,
};

/** Gauges of the latest upgrade of each template, and the function that sets them. */
export function upgradeMetrics(registry: Registry): (views: readonly UpgradeView[]) => void {
  const registers = [registry];
  const bots = new Gauge({
    name: 'bunkhouse_upgrade_bots',
    help: 'Bots of the latest upgrade of a template by what became of them; failed: moves that failed',
    labelNames: ['template', 'progress'] as const,
    registers,
  });
  const statuses = new Gauge({
    name: 'bunkhouse_upgrade_status',
    help: '1 for the status of the latest upgrade of a template',
    labelNames: ['template', 'status'] as const,
    registers,
  });
  return (views) => {
    for (const view of views) {
      const { template } = view;
      for (const [progress, count] of Object.entries(COUNTS)) bots.set({ template, progress }, count(view));
      for (const status of UPGRADE_STATUSES) statuses.set({ template, status }, Number(view.status === status));
    }
  };
}
