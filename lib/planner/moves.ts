import type { BotRecord } from '../domain/bot.ts';
import type { Template } from '../domain/template.ts';

/** Why bots of that template cannot be moved at all, and what to do; null: they can. */
export function whyImmovable(
  { template: name }: Pick<BotRecord, 'template'>,
  template: Template | undefined,
): string | null {
  if (template === undefined) return `its template ${name} does not exist; add it again`;
  const services = Object.keys(template.services).join(', ');
  if (services === '') return null;
  return `it keeps data in ${services}, a service of its container, which no archive puts back; make a new bot, bring its data in by the program's own export and import, then delete this one`;
}
