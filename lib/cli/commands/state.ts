import type { Command } from 'commander';
import { become } from '../become.ts';

/** `state …`: works on the state itself, while no supervisor does. Settings come from the environment. */
export function stateCommands(program: Command): void {
  const state = program.command('state').description('the state of a supervisor that is stopped');
  state
    .command('rehome')
    .description('forget where the containers are, so that the next start may make them where its settings say')
    .addHelpText(
      'after',
      `
A supervisor refuses to start where it cannot see the containers that its state tells of (another engine, another
data folder, another machine), because every bot would run twice. When they are really gone from there, or the data
folder itself was moved with everything stopped: stop the supervisor, run this with its settings in the
environment or .env, and start it.`,
    )
    .action(() => become('rehome'));
}
