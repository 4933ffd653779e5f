import type { Command } from 'commander';
import { loadTemplate } from '../../config/template.ts';
import type { Prefork, Template } from '../../domain/template.ts';
import { action } from '../action.ts';
import { count } from '../text.ts';

/** `template …`: works without a supervisor. */
export function templateCommands(program: Command): void {
  const template = program.command('template').description('templates: what kinds of bots are');
  const check = template
    .command('check')
    .argument('<file>')
    .description('whether a template is valid; lists everything that is wrong with it');
  action(check, async ({ context, args: [file = ''] }) => {
    const found = await loadTemplate(file);
    context.print(context.json ? `${JSON.stringify(found)}\n` : `${file}: valid, ${describe(found)}`);
  });
}

function describe({ name, version, prefork }: Template): string {
  return `template ${name}, version ${version}.\n${prefork === null ? '' : describePrefork(prefork)}`;
}

function describePrefork({ entry, python, preload, warmup, merge, immortal }: Prefork): string {
  const parts = [
    `${entry} under ${python}`,
    count(preload.length, 'preloaded module'),
    warmup === null ? 'no warmup' : 'warmup',
    `merge ${merge ? 'on' : 'off'}`,
    `immortal ${immortal ? 'on' : 'off'}`,
  ];
  return `Bots share memory: ${parts.join(', ')}.\n`;
}
