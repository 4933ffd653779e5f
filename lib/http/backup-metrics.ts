import { Counter, Gauge, type Registry } from 'prom-client';
import type { BunkhouseEvent } from '../domain/events.ts';
import type { BackupOverview } from '../services/backup-api.ts';

export interface BackupMetrics {
  /** For the event log. */
  event(event: BunkhouseEvent): void;
  /** Sets the gauges. */
  set(overview: BackupOverview): void;
  /** A series of each bot in Prometheus' text format. */
  botSeries(overview: BackupOverview): string;
}

const AGE = 'bunkhouse_bot_backup_age_seconds';

export function backupMetrics(registry: Registry): BackupMetrics {
  const registers = [registry];
  const made = new Counter({
    name: 'bunkhouse_backups_total',
    help: 'Backups made or tried, by outcome',
    labelNames: ['outcome'] as const,
    registers,
  });
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers });
  const oldest = gauge('bunkhouse_backup_oldest_seconds', 'Age of the last good backup of the bot whose is oldest');
  const none = gauge('bunkhouse_bots_without_backup', 'Bots without a good backup');
  const failing = gauge('bunkhouse_backups_failing', 'Bots whose last try of a backup failed');
  return {
    event: (event) => {
      if (event.type === 'bot.backup') made.inc({ outcome: event.good ? 'good' : 'damaged' });
      if (event.type === 'bot.backup-failed') made.inc({ outcome: 'failed' });
    },
    set: ({ bots }) => {
      oldest.set(Math.max(0, ...bots.map(({ last }) => last?.ageSeconds ?? 0)));
      none.set(bots.filter(({ last }) => last === null).length);
      failing.set(bots.filter(({ failure }) => failure !== null).length);
    },
    botSeries: ({ bots }) => {
      const lines = bots.flatMap(({ instanceId, last }) =>
        last === null ? [] : [`${AGE}{bot="${instanceId}"} ${last.ageSeconds}`],
      );
      const head = [`# HELP ${AGE} Age of the last good backup of a bot`, `# TYPE ${AGE} gauge`];
      return `${[...head, ...lines].join('\n')}\n`;
    },
  };
}
