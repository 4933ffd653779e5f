import type { Command } from 'commander';
import { loadTemplate } from '../../config/template.ts';
import { action } from '../action.ts';

/** `template …`: works without a supervisor. */
export function templateCommands(program: Command): void {
  const template = program.command('template').description('templates: what kinds of bots are');
  const check = template
    .command('check')
    .argument('<file>')
    .description('whether a template is valid; lists everything that is wrong with it');
  action(check, async ({ context, args: [file = ''] }) => {
    const found = await loadTemplate(file);
    const text = `${file}: valid, template ${found.name}, version ${found.version}.\n`;
    context.print(context.json ? `${JSON.stringify(found)}\n` : text);
  });
}
