import type { Command } from 'commander';
import { botBackupCommand } from './backups.ts';
import { createCommand } from './bots-create.ts';
import { desiredCommands } from './bots-desired.ts';
import { moveCommands } from './bots-move.ts';
import { listCommand, showCommand } from './bots-show.ts';
import { botLogsCommand } from './logs.ts';

/** `bots …`: one bot or all of them. */
export function botsCommands(program: Command): void {
  const bots = program
    .command('bots')
    .description('bots: list, create, start, stop, pause, restart, move, back up, delete, look');
  for (const part of [
    listCommand,
    showCommand,
    createCommand,
    desiredCommands,
    moveCommands,
    botBackupCommand,
    botLogsCommand,
  ])
    part(bots);
}
