import type { Command } from 'commander';
import { BOT_STATES } from '../../domain/bot.ts';
import type { BackupOverview } from '../../services/backup-api.ts';
import type { HealthSummary, PoolStatus } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import { backupSummary } from '../backup-summary.ts';
import { show } from '../context.ts';
import { totalText } from '../resources.ts';
import { containerTable, serviceTable } from '../tables.ts';
import { count, facts } from '../text.ts';

/** `status`: how everything is, in one screen. */
export function statusCommand(program: Command): void {
  const command = program.command('status').description('how the supervisor, its containers and bots are');
  action(command, async ({ context }) => {
    const reply = await context.client.call<PoolStatus>('GET', '/api/pool/status');
    const overview = await context.client.call<BackupOverview>('GET', '/api/backups/overview');
    const kept = ['backups', backupSummary(overview.json)] as const;
    show(
      context,
      reply,
      (status) => summary(context.client.address(), status, kept) + containers(status, context.columns),
    );
  });
}

function summary(url: string, status: PoolStatus, kept: readonly [string, string]): string {
  const { health, totalBots, totalPools } = status;
  return facts([
    ['supervisor', `${url} (${health.status})`],
    ['locations', locationsText(status)],
    ['containers', `${totalPools}, ${health.pools.running} running`],
    ['bots', `${totalBots}${states(health)}`],
    ['memory', totalText(status)],
    kept,
    ['last check', health.lastCheck ?? 'none yet'],
  ]);
}

function locationsText({ locations }: PoolStatus): string {
  return locations.map(({ name, reachable, reason }) => (reachable ? name : `${name} (${reason})`)).join(', ');
}

function states({ bots }: HealthSummary): string {
  const some = BOT_STATES.filter((state) => bots[state] > 0).map((state) => `${bots[state]} ${state}`);
  return some.length === 0 ? '' : `: ${some.join(', ')}`;
}

function containers({ pools }: PoolStatus, columns: number): string {
  if (pools.length === 0) return '\nNo container yet: the first bot makes one (bunkhouse bots create --help).\n';
  return `\n${count(pools.length, 'container')}\n${containerTable(pools, columns)}${serviceTable(pools, columns)}`;
}
