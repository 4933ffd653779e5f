import type { Command } from 'commander';
import type { PlanView } from '../../services/pool-api.ts';
import { action } from '../action.ts';
import { show } from '../context.ts';
import { plain } from '../text.ts';

/** `plan`: what the next pass would do and why. Changes nothing. */
export function planCommand(program: Command): void {
  const command = program.command('plan').description('what the next pass would do and why; changes nothing');
  action(command, async ({ context }) => {
    show(context, await context.client.call<PlanView>('GET', '/api/pool/plan'), planText);
  });
}

function planText({ steps, held }: PlanView): string {
  const lines = [
    ...(steps.length === 0 ? ['Nothing to do: everything is as wanted.'] : []),
    ...steps.map(({ sentence }, index) => `${index + 1}. ${sentence}`),
    ...held.map(({ target, why }) => `Not now: ${target}, ${why}`),
  ];
  return lines.map((line) => `${plain(line)}\n`).join('');
}
