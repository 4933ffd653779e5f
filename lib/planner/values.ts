import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { PLACEHOLDER_FORMS, type PlacePart, placeholderOf, SERVICE_PLACEHOLDER_FORMS } from '../domain/placeholders.ts';

/** What placeholders stand for. */
export interface Values {
  /** Null: of no bot. */
  readonly bot: BotValues | null;
  /** Of the container, as its bots see it; null where the places of services are of no use. */
  readonly directory: string | null;
  /** The service whose definition is filled in. */
  readonly service: string | null;
}

export interface BotValues {
  readonly id: string;
  readonly owner: string;
  readonly desired: string;
  readonly host: string;
  readonly port: number;
  readonly secrets: Readonly<Record<string, string>>;
}

export function valuesOf(bot: BotRecord, port: number, host: string, directory: string | null = null): Values {
  const { instanceId: id, owner, desired, secrets } = bot;
  return { bot: { id, owner, desired, host, port, secrets }, directory, service: null };
}

/** Replaces each `{{…}}`. Throws INVALID on a placeholder nobody knows, which the template's validation excludes. */
export function renderText(text: string, values: Values): string {
  return text.replaceAll(/\{\{([^{}]*)\}\}/g, (_, expression: string) => String(lookUp(expression, values)));
}

export function renderRecord(record: Readonly<Record<string, string>>, values: Values): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, text]) => [key, renderText(text, values)]));
}

/** A string that is just one placeholder takes its type, so that a port stays a number. */
export function renderJson(value: unknown, values: Values): unknown {
  if (typeof value === 'string') {
    const whole = /^\{\{([^{}]*)\}\}$/.exec(value);
    return whole === null ? renderText(value, values) : lookUp(whole[1] as string, values);
  }
  if (Array.isArray(value)) return value.map((item) => renderJson(item, values));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, renderJson(item, values)]));
}

/** Where the plugin puts what is a service's: the table in lib/README.md, "Inside a container". */
const PLACES: Readonly<Record<PlacePart, string>> = { dir: 'services', run: 'run/services' };

/** Base64 of the UTF-8 bytes. */
export function toBase64(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

// Private

function lookUp(expression: string, values: Values): string | number {
  const placeholder = placeholderOf(expression.trim());
  switch (placeholder?.kind) {
    case undefined:
      throw unknown(expression);
    case 'value':
      return botOf(expression, values)[placeholder.name];
    case 'secret':
      return secretOf(placeholder.secret, botOf(expression, values));
    case 'basic':
      return toBase64(`${placeholder.user}:${secretOf(placeholder.secret, botOf(expression, values))}`);
    case 'ownPlace':
      return placeOf(expression, values, values.service, placeholder.part);
    case 'socketPlace':
      return placeOf(expression, values, placeholder.service, 'run');
  }
}

function botOf(expression: string, { bot }: Values): BotValues {
  if (bot === null) throw unknown(expression);
  return bot;
}

function placeOf(expression: string, { directory }: Values, service: string | null, part: PlacePart): string {
  if (directory === null || service === null) throw unknown(expression);
  return `${directory}/${PLACES[part]}/${service}`;
}

function secretOf(name: string, { secrets }: BotValues): string {
  const secret = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
  if (secret === undefined) throw new BunkhouseError('INVALID', `the bot has no secret named ${name}`);
  return secret;
}

function unknown(expression: string): BunkhouseError {
  const known = [...PLACEHOLDER_FORMS, ...SERVICE_PLACEHOLDER_FORMS].join(' ');
  return new BunkhouseError('INVALID', `unknown placeholder {{${expression}}} here; known: ${known}`);
}
