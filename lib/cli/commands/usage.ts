import { type Command, Option } from 'commander';
import type { UsageReport } from '../../services/usage-api.ts';
import { action } from '../action.ts';
import { show } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { duration, mebibytes, table } from '../text.ts';

interface UsageOptions {
  readonly from?: string;
  readonly to?: string;
  readonly owner?: string;
  readonly by: string;
  readonly csv?: boolean;
}

const HELP = `
MEMORY is the mean of its part of the memory (PSS) while it ran. --json and --csv have the amounts that add up: seconds
running, byte-seconds of memory, CPU seconds. Whole hours are counted; of more than 35 days ago, whole days.`;

/** `usage`: what bots used, deleted ones too. */
export function usageCommand(program: Command): void {
  const command = program
    .command('usage')
    .description('what bots used, deleted ones too; the last day when no time is given')
    .option('--from <time>', 'inclusive; ISO 8601, as 2026-05-01 or 2026-05-01T10:00:00Z')
    .option('--to <time>', 'exclusive; now when left out')
    .option('--owner <id>', 'only theirs')
    .addOption(new Option('--by <what>', 'a line for each').choices(['bot', 'owner']).default('bot'))
    .option('--csv', 'as CSV')
    .addHelpText('after', HELP);
  action<UsageOptions>(command, async ({ context, options: { from, to, owner, by, csv } }) => {
    if (csv && context.json) throw usageFailure('Choose one of --csv and --json.');
    const query = { from, to, owner, by };
    if (csv) return context.print(await context.client.text('/api/usage', { ...query, format: 'csv' }));
    const reply = await context.client.call<UsageReport>('GET', '/api/usage', { query });
    show(context, reply, (report) => usageText(report, context.columns));
  });
}

// Private

function usageText({ from, to, by, usage, total }: UsageReport, columns: number): string {
  const period = `${from} to ${to}`;
  if (usage.length === 0) return `Nothing ran from ${period}.\n`;
  const rows = [...usage, { owner: 'total', instanceId: null, ...total }].map((row) => [
    row.owner,
    ...(by === 'bot' ? [row.instanceId ?? ''] : []),
    duration(row.runningSeconds),
    mebibytes(row.runningSeconds === 0 ? null : row.pssByteSeconds / row.runningSeconds),
    duration(row.cpuSeconds),
  ]);
  const head = ['OWNER', ...(by === 'bot' ? ['BOT'] : []), 'RUNNING', 'MEMORY', 'CPU TIME'];
  return `${period}\n\n${table(head, rows, columns)}`;
}
