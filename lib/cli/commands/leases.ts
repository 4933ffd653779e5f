import type { Command } from 'commander';
import type { LeaseView } from '../../services/lease-api.ts';
import { action } from '../action.ts';
import { type Context, show } from '../context.ts';
import { positive, type WaitOptions, waitOption, waitSeconds } from '../options.ts';
import { duration, facts, plain, table } from '../text.ts';
import { leasePath, waitForBot } from '../wait.ts';
import { watchCommand } from './leases-watch.ts';

interface AcquireOptions extends WaitOptions {
  readonly template?: string;
  readonly owner?: string;
  readonly location?: string;
  readonly ttl?: string;
}

/** `leases …`: bots handed out for a time. */
export function leasesCommands(program: Command): void {
  const leases = program.command('leases').description('bots handed out for a time');
  for (const part of [acquireCommand, listCommand, showCommand, extendCommand, releaseCommand, watchCommand])
    part(leases);
}

// Private

function acquireCommand(leases: Command): void {
  const command = leases
    .command('acquire')
    .description('get a bot for a time; a warm one at once when one is ready')
    .option('--template <name>', 'what kind of bot (default: DEFAULT_TEMPLATE of the supervisor)')
    .option('--owner <id>', 'for whom')
    .option('--location <name>', 'where (default: wherever one is ready)')
    .option('--ttl <seconds>', 'for how long (default: as the template says)')
    .addOption(waitOption());
  action<AcquireOptions>(command, async ({ context, options }) => {
    const seconds = waitSeconds(options);
    const { template, owner, location, ttl } = options;
    const body = {
      ...(template === undefined ? {} : { template }),
      ...(owner === undefined ? {} : { owner }),
      ...(location === undefined ? {} : { location }),
      ...(ttl === undefined ? {} : { ttlSeconds: positive(ttl, '--ttl') }),
    };
    const acquired = await context.client.call<LeaseView>('POST', '/api/leases', { body });
    const { id, instanceId, state } = acquired.json;
    if (seconds === null || state === 'running') return show(context, acquired, leaseText);
    context.note(`Lease ${id} is granted; its bot is being started.\n`);
    await waitForBot(context, { instanceId, seconds, to: 'run', until: (bot) => bot.state === 'running' });
    show(context, await context.client.call<LeaseView>('GET', leasePath(id)), leaseText);
  });
}

function listCommand(leases: Command): void {
  action(leases.command('list').description('leases that last, the next to end first'), async ({ context }) => {
    const reply = await context.client.call<{ leases: LeaseView[] }>('GET', '/api/leases');
    show(context, reply, (page) => leaseTable(page.leases, context.columns));
  });
}

function showCommand(leases: Command): void {
  const command = leases.command('show').argument('<lease>').description('one lease; an ended one for an hour');
  action(command, async ({ context, args: [id = ''] }) => {
    show(context, await context.client.call<LeaseView>('GET', leasePath(id)), leaseText);
  });
}

function extendCommand(leases: Command): void {
  const command = leases
    .command('extend')
    .argument('<lease>')
    .argument('<seconds>')
    .description('let a lease last so much longer');
  action(command, async ({ context, args: [id = '', seconds = ''] }) => {
    const body = { seconds: positive(seconds, 'extend') };
    const reply = await context.client.call<LeaseView>('POST', leasePath(id, '/extend'), { body });
    show(context, reply, ({ expiresAt }) => `${plain(id)}: lasts until ${expiresAt}\n`);
  });
}

function releaseCommand(leases: Command): void {
  const command = leases
    .command('release')
    .argument('<lease...>')
    .description('give bots back; what is in them is cleaned away');
  action(command, async ({ context, args }) => {
    for (const id of args) await release(context, id);
  });
}

async function release(context: Context, id: string): Promise<void> {
  const reply = await context.client.call<LeaseView>('DELETE', leasePath(id));
  show(context, reply, ({ end }) => `${plain(id)}: ${end?.how ?? 'lasts'}\n`);
}

function leaseText(lease: LeaseView): string {
  const { end } = lease;
  return facts([
    ['lease', lease.id],
    ['bot', lease.instanceId],
    ['state', lease.state ?? '-'],
    ['address', lease.url],
    ['owner', lease.owner],
    ['template', lease.template],
    ['location', lease.location],
    ['left', end === null ? `${duration(lease.ttlSeconds)}, until ${lease.expiresAt}` : `${end.how} at ${end.at}`],
    ['warm', lease.fromPool ? 'yes' : 'no, made for it'],
    ['fence', String(lease.fence)],
    ...Object.entries(lease.access ?? {}),
  ]);
}

function leaseTable(leases: readonly LeaseView[], columns: number): string {
  if (leases.length === 0) return 'No lease.\n';
  const rows = leases.map((lease) => [
    lease.id,
    lease.instanceId,
    lease.state ?? '-',
    duration(lease.ttlSeconds),
    lease.owner,
    lease.template,
  ]);
  return table(['LEASE', 'BOT', 'STATE', 'LEFT', 'OWNER', 'TEMPLATE'], rows, columns);
}
