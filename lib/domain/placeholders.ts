import { NAME } from './ids.ts';

/** What a placeholder stands for. `basic` is base64 of `USER:secret`, as HTTP Basic authentication wants it. */
export type Placeholder =
  | { readonly kind: 'value'; readonly name: ValueName }
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'basic'; readonly user: string; readonly secret: string }
  /** A directory of the service in whose definition it stands. */
  | { readonly kind: 'ownPlace'; readonly part: PlacePart }
  /** Where a service's sockets are. */
  | { readonly kind: 'socketPlace'; readonly service: string };

export type PlacePart = 'dir' | 'run';

export const VALUE_NAMES = ['id', 'owner', 'port', 'host', 'desired'] as const;
export type ValueName = (typeof VALUE_NAMES)[number];

export const SOCKET_PLACE = '{{service.NAME.run}}';

/** Every form a template may use, for messages and docs. */
export const PLACEHOLDER_FORMS = [
  ...VALUE_NAMES.map((name) => `{{${name}}}`),
  '{{secret.NAME}}',
  '{{basic.USER.NAME}}',
  SOCKET_PLACE,
] as const;

/** Beside those, in the definition of a service itself. */
export const SERVICE_PLACEHOLDER_FORMS = ['{{service.dir}}', '{{service.run}}'] as const;

/** Names of secrets: no dots, which separate the parts of a placeholder. */
export const SECRET_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,30}$/;

/** A piece of text that opens with `{{`; `placeholder` is null when it has none of the allowed forms or never closes. */
export interface FoundPlaceholder {
  readonly text: string;
  readonly placeholder: Placeholder | null;
}

/** All placeholders of a text, in order. Blanks inside the braces do not count. */
export function parsePlaceholders(text: string): FoundPlaceholder[] {
  return [...text.matchAll(/\{\{(?:([^{}]*)\}\})?/g)].map((match) => ({
    text: match[1] === undefined ? text.slice(match.index, match.index + 20) : match[0],
    placeholder: match[1] === undefined ? null : placeholderOf(match[1].trim()),
  }));
}

/** What stands between the braces; null when it has none of the allowed forms. */
export function placeholderOf(expression: string): Placeholder | null {
  const [head = '', ...rest] = expression.split('.');
  if (rest.length === 0 && isValueName(head)) return { kind: 'value', name: head };
  if (head === 'service') return servicePlaceholder(rest);
  if (!rest.every((part) => SECRET_NAME.test(part))) return null;
  const [first = '', second = ''] = rest;
  if (head === 'secret' && rest.length === 1) return { kind: 'secret', secret: first };
  if (head === 'basic' && rest.length === 2) return { kind: 'basic', user: first, secret: second };
  return null;
}

// Private

function servicePlaceholder([first = '', second, ...more]: readonly string[]): Placeholder | null {
  if (more.length > 0) return null;
  if (second === undefined) return first === 'dir' || first === 'run' ? { kind: 'ownPlace', part: first } : null;
  return second === 'run' && NAME.test(first) ? { kind: 'socketPlace', service: first } : null;
}

function isValueName(text: string): text is ValueName {
  return VALUE_NAMES.some((name) => name === text);
}
