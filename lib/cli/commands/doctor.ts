import type { Command } from 'commander';
import { messageOf } from '../../domain/errors.ts';
import { action } from '../action.ts';
import type { Context } from '../context.ts';
import { runChecks, worst } from '../doctor/checks.ts';
import { type Finding, fail } from '../doctor/finding.ts';
import { createMachine } from '../doctor/machine.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../text.ts';

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

async function diagnose({ settings }: Context): Promise<Finding[]> {
  let config: ReturnType<typeof settings.config>;
  try {
    config = settings.config();
  } catch (error) {
    return [fail('settings', messageOf(error), 'Put them right first: all other checks depend on them.')];
  }
  return runChecks(createMachine(config, performance.timeOrigin + performance.now()));
}

function describe({ name, level, found, next }: Finding): string {
  const line = `${level.padEnd(4)}  ${name.padEnd(14)}  ${plain(found)}\n`;
  return next === '' ? line : `${line}${' '.repeat(22)}${next}\n`;
}
