import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { renderHelp } from '../../config/docs.ts';

/** `serve`: becomes the supervisor. Settings come from the environment. */
export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('run the supervisor in the foreground, with settings from the environment and .env')
    .addHelpText('after', () => `\nSettings:\n${renderHelp()}`)
    .action(() => {
      const main = fileURLToPath(new URL(`../../main${extname(import.meta.filename)}`, import.meta.url));
      // The same process goes on as the supervisor: signals, exit code and systemd's watchdog need nobody in between.
      process.execve?.(process.execPath, [process.execPath, main]);
    });
}
