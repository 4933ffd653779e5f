import type { Command } from 'commander';
import type { ReserveStatus } from '../../services/lease-api.ts';
import type { CleanupReport, PoolStatus, SweepReport } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import { show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { totalText } from '../resources.ts';
import { containerTable, serviceTable } from '../tables.ts';
import { count, plain, table } from '../text.ts';
import { serviceLogsCommand } from './logs.ts';
import { drainCommand } from './pool-drain.ts';
import { upgradeCommand } from './pool-upgrade.ts';

/** `pool …`: the containers as a whole. */
export function poolCommands(program: Command): void {
  const pool = program.command('pool').description('the containers as a whole');
  action(pool.command('status').description('every container, and what is kept warm'), async ({ context }) => {
    const reply = await context.client.call<WholeStatus>('GET', '/api/pool/status');
    show(context, reply, (status) => statusText(status, context.columns));
  });
  action(pool.command('reserve').description('warm bots of each template that is leased'), async ({ context }) => {
    const reply = await context.client.call<{ reserves: ReserveStatus[] }>('GET', '/api/pool/reserve');
    show(context, reply, ({ reserves }) => reserveText(reserves, context.columns));
  });
  serviceLogsCommand(pool);
  upgradeCommand(pool);
  drainCommand(pool);
  const check = pool.command('health-check').description('sweep now; exit code 1 when it finds an issue');
  action(check, async ({ context }) => {
    const reply = await context.client.call<SweepReport>('POST', '/api/pool/health-check');
    show(context, reply, sweepText);
    if (reply.json.issues.length > 0) context.exitWith(EXIT.failed);
  });
  const cleanup = pool
    .command('cleanup')
    .description('remove empty containers and proven orphans')
    .option('--dry-run', 'only say what would be done');
  action<{ dryRun?: boolean }>(cleanup, async ({ context, options }) => {
    const query = { dryRun: options.dryRun ? 'true' : undefined };
    const reply = await context.client.call<CleanupReport>('POST', '/api/pool/cleanup', { query });
    show(context, reply, (report) => cleanupText(report, options.dryRun ?? false));
  });
}

type WholeStatus = PoolStatus & { readonly reserves: readonly ReserveStatus[] };

function statusText(status: WholeStatus, columns: number): string {
  const warm = status.reserves.length === 0 ? '' : `\n${reserveText(status.reserves, columns)}`;
  const tables = `${containerTable(status.pools, columns)}${serviceTable(status.pools, columns)}`;
  return `${tables}\nMemory: ${totalText(status)}\n${warm}`;
}

function reserveText(reserves: readonly ReserveStatus[], columns: number): string {
  if (reserves.length === 0) return 'No template is handed out on lease.\n';
  const rows = reserves.map((reserve) => [
    reserve.template,
    reserve.location,
    `${reserve.ready}/${reserve.target}`,
    String(reserve.warming),
    String(reserve.assigned),
    String(reserve.resetting),
    reserve.hitRate === null ? '-' : `${Math.round(reserve.hitRate * 100)} %`,
    reserve.held || (reserve.isRefilling ? 'refilling' : ''),
  ]);
  return table(['TEMPLATE', 'LOCATION', 'READY', 'WARMING', 'LEASED', 'CLEANING', 'HITS', 'REFILL'], rows, columns);
}

function sweepText({ pools, bots, issues, recoveryActions, durationMs }: SweepReport): string {
  const looked = `${count(pools, 'container')} and ${count(bots, 'bot')} looked at in ${Math.round(durationMs)} ms`;
  const lines = [
    `${looked}: ${issues.length === 0 ? 'no issue' : count(issues.length, 'issue')}.`,
    ...issues.map(({ target, problem }) => `  ${target}: ${problem}`),
    ...(recoveryActions.length > 0 ? ['Set in motion:', ...recoveryActions.map((sentence) => `  ${sentence}`)] : []),
  ];
  return lines.map((line) => `${line.trimStart() === line ? '' : '  '}${plain(line)}\n`).join('');
}

function cleanupText({ removedPools, archived, kept }: CleanupReport, dryRun: boolean): string {
  const verb = dryRun ? 'would be removed' : 'removed';
  const lines = [
    ...(removedPools.length === 0 ? [`Nothing ${dryRun ? 'to remove' : 'removed'}.`] : []),
    ...removedPools.map((name) => `${name}: ${verb}`),
    ...archived.map((name) => `${name}: ${dryRun ? 'would be archived' : 'archived'}`),
    ...kept.map(({ id, why }) => `${id}: kept, ${why}`),
  ];
  return lines.map((line) => `${plain(line)}\n`).join('');
}
