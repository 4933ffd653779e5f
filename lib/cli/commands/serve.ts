import type { Command } from 'commander';
import { renderHelp } from '../../config/docs.ts';
import { become } from '../become.ts';

/** `serve`: becomes the supervisor. Settings come from the environment. */
export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('run the supervisor in the foreground, with settings from the environment and .env')
    .addHelpText('after', () => `\nSettings:\n${renderHelp()}`)
    .action(() => become('main'));
}
