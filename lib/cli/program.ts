import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { backupsCommands } from './commands/backups.ts';
import { benchCommands } from './commands/bench.ts';
import { botsCommands } from './commands/bots.ts';
import { doctorCommand } from './commands/doctor.ts';
import { leasesCommands } from './commands/leases.ts';
import { logsCommand } from './commands/logs.ts';
import { migrateCommand } from './commands/migrate.ts';
import { planCommand } from './commands/plan.ts';
import { poolCommands } from './commands/pool.ts';
import { preloadCommands } from './commands/preload.ts';
import { serveCommand } from './commands/serve.ts';
import { stateCommands } from './commands/state.ts';
import { statusCommand } from './commands/status.ts';
import { templateCommands } from './commands/template.ts';
import { tokensCommands } from './commands/tokens.ts';
import { topCommand } from './commands/top.ts';
import { usageCommand } from './commands/usage.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';

/** The whole command line. Parsing throws CommanderError instead of ending the process. */
export function createProgram(): Command {
  const program = new Command('bunkhouse')
    .description('Supervisor for multi-tenant pooled containers')
    .addOption(new Option('--url <address>', 'the supervisor (default: BUNKHOUSE_URL, else http://127.0.0.1:4000)'))
    .addOption(
      new Option('--token-file <file>', 'file with the token (default: BUNKHOUSE_TOKEN, else ADMIN_TOKEN_FILE)'),
    )
    .option('--json', "print the API's JSON and nothing else")
    .version(version())
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows how it is used)')
    .addHelpText('afterAll', EXIT_CODES_HELP)
    .exitOverride();
  const parts = [
    serveCommand,
    statusCommand,
    botsCommands,
    leasesCommands,
    backupsCommands,
    poolCommands,
    migrateCommand,
    logsCommand,
    planCommand,
    preloadCommands,
    benchCommands,
    topCommand,
    usageCommand,
    doctorCommand,
    stateCommands,
    templateCommands,
    tokensCommands,
  ];
  for (const part of parts) part(program);
  return program;
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
