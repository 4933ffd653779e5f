import type { Command } from 'commander';
import { messageOf } from '../../domain/errors.ts';
import type { BackupOverview } from '../../services/backup-api.ts';
import type { PoolStatus } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import type { Client } from '../client.ts';
import type { Context } from '../context.ts';
import { backupFindings } from '../doctor/backups.ts';
import { runChecks, worst } from '../doctor/checks.ts';
import { type Finding, fail } from '../doctor/finding.ts';
import { createMachine, type Machine } from '../doctor/machine.ts';
import { runningFindings } from '../doctor/running.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../text.ts';

const KSM = '/sys/kernel/mm/ksm/run';

/** `doctor`: is this machine fit, and what to do about it. Works without a supervisor. */
export function doctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .description('whether this machine is fit, and what to do about it; exit code 1 when something must be done');
  action(command, async ({ context }) => {
    const checks = await diagnose(context);
    const level = worst(checks);
    context.print(context.json ? `${JSON.stringify({ level, checks })}\n` : checks.map(describe).join(''));
    if (level === 'fail') context.exitWith(EXIT.failed);
  });
}

async function diagnose({ settings, client }: Context): Promise<Finding[]> {
  let config: ReturnType<typeof settings.config>;
  try {
    config = settings.config();
  } catch (error) {
    return [fail('settings', messageOf(error), 'Put them right first: all other checks depend on them.')];
  }
  const machine = createMachine(config, performance.timeOrigin + performance.now());
  const checks = await runChecks(machine);
  const running = await ofSupervisor(client, machine);
  // What it knows better takes the place of what the machine shows.
  return [...checks.filter(({ name }) => !running.some((finding) => finding.name === name)), ...running];
}

/** Nothing when no supervisor answers, or not to us: the rest is worth knowing all the same. */
async function ofSupervisor(client: Client, machine: Machine): Promise<Finding[]> {
  const reply = await client.call<PoolStatus>('GET', '/api/pool/status').catch(() => null);
  if (reply === null) return [];
  const overview = await client.call<BackupOverview>('GET', '/api/backups/overview').catch(() => null);
  const kept = overview === null ? [] : backupFindings(overview.json);
  return [...runningFindings(reply.json, (await machine.readText(KSM))?.trim() ?? null), ...kept];
}

function describe({ name, level, found, next }: Finding): string {
  const line = `${level.padEnd(4)}  ${name.padEnd(14)}  ${plain(found)}\n`;
  return next === '' ? line : `${line}${' '.repeat(22)}${next}\n`;
}
