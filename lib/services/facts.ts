import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { factOf, pick } from '../domain/move-rule.ts';
import { renderRecord, renderText, valuesOf } from '../planner/values.ts';
import type { ApplyContext } from './executors.ts';

/** What a living bot says of itself, by the names of its template's facts. Throws BOT_UNAVAILABLE. */
export async function askFacts(
  { templates, prober, addressOf, limits }: Pick<ApplyContext, 'templates' | 'prober' | 'addressOf' | 'limits'>,
  bot: BotRecord,
): Promise<Record<string, string>> {
  const rule = templates.get(bot.template)?.move;
  if (rule === undefined) return {};
  const address = addressOf(bot.instanceId);
  const values = valuesOf(bot, address.port, limits.bindHost(bot.location));
  const headers = renderRecord(rule.headers, values);
  const found: [string, string][] = [];
  for (const [name, fact] of Object.entries(rule.facts)) {
    const answers: (readonly unknown[])[] = [];
    // One after the other: the order says what may happen in between.
    for (const { path, pointer } of fact.from) {
      answers.push(pick(await prober.ask(address, { path: renderText(path, values), headers }), pointer));
    }
    const value = factOf(fact, answers);
    if (value === null)
      throw new BunkhouseError('BOT_UNAVAILABLE', `${bot.instanceId} does not say its ${name} as a number`);
    found.push([name, value]);
  }
  return Object.fromEntries(found);
}
