import {
  type FoundPlaceholder,
  PLACEHOLDER_FORMS,
  type Placeholder,
  parsePlaceholders,
  SERVICE_PLACEHOLDER_FORMS,
  SOCKET_PLACE,
} from '../domain/placeholders.ts';
import type { Problem } from './template-document.ts';
import type { TemplateContent } from './template-schema.ts';

/** Parts of a template that are filled in for each bot; placeholders anywhere else would stay as they are. */
const FILLED_IN = [
  'command',
  'env',
  'files',
  'checks',
  'control',
  'proxy',
  'lease.access',
  'lease.reset',
  'move',
  'holdBack',
];
/** Where the places of services are known. */
const WITH_SERVICES = ['command', 'env', 'files', 'lease.reset'];
const STEPS_OF_SERVICES = ['provision', 'deprovision', 'archive'];

/** Placeholders of a form nobody knows, of what is not declared, and in places where they are not filled in. */
export function findPlaceholderProblems(template: TemplateContent, document: unknown): Problem[] {
  return textsOf(document, []).flatMap(({ path, text }) =>
    parsePlaceholders(text).flatMap((found) => {
      const message = problemOf(placeOf(path), found, template);
      return message === null ? [] : [{ path, message }];
    }),
  );
}

// Private

/** What is filled in at a place of the document. */
interface Place {
  /** Null: nothing at all. For a service by itself there are no values of a bot. */
  readonly of: 'bot' | 'service' | null;
  /** The service whose definition it is in. */
  readonly inService: boolean;
  readonly services: boolean;
}

function placeOf(path: readonly PropertyKey[]): Place {
  const [first, , part] = path.map(String);
  if (first === 'services') {
    const isStep = STEPS_OF_SERVICES.includes(part ?? '');
    return { of: isStep ? 'bot' : 'service', inService: true, services: isStep };
  }
  const among = (parts: readonly string[]): boolean =>
    parts.some((part) => part === first || part === path.slice(0, 2).join('.'));
  return { of: among(FILLED_IN) ? 'bot' : null, inService: false, services: among(WITH_SERVICES) };
}

function problemOf(place: Place, { text, placeholder }: FoundPlaceholder, template: TemplateContent): string | null {
  if (place.of === null) return `is not filled in for each bot, so ${text} is not allowed`;
  const wrong = placeholder === null ? 'which is no placeholder' : misplaced(place, placeholder);
  if (wrong !== null) return `holds ${text}, ${wrong}; allowed are ${allowedIn(place).join(' ')}`;
  const undeclared = placeholder === null ? null : undeclaredIn(template, placeholder);
  return undeclared === null ? null : `holds ${text}, but there is no ${undeclared}`;
}

function misplaced(place: Place, { kind }: Placeholder): string | null {
  if (kind === 'ownPlace') return place.inService ? null : 'which is known only in a service';
  if (kind === 'socketPlace') return place.services ? null : 'but the places of services are not filled in there';
  return place.of === 'bot' ? null : 'but a service by itself is of no bot';
}

function undeclaredIn({ services, secrets }: TemplateContent, placeholder: Placeholder): string | null {
  switch (placeholder.kind) {
    case 'socketPlace': {
      const { service } = placeholder;
      return Object.hasOwn(services, service) ? null : `service ${service}; declare it under services`;
    }
    case 'secret':
    case 'basic': {
      const { secret } = placeholder;
      return Object.hasOwn(secrets, secret) ? null : `secret ${secret}; declare it under secrets`;
    }
    default:
      return null;
  }
}

const allowedIn = ({ of, inService, services }: Place): readonly string[] => [
  ...(of === 'bot' ? PLACEHOLDER_FORMS.filter((form) => services || form !== SOCKET_PLACE) : []),
  ...(inService ? SERVICE_PLACEHOLDER_FORMS : []),
];

function textsOf(value: unknown, path: readonly PropertyKey[]): { path: readonly PropertyKey[]; text: string }[] {
  if (typeof value === 'string') return [{ path, text: value }];
  if (typeof value !== 'object' || value === null) return [];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return entries.flatMap(([key, inner]) => textsOf(inner, [...path, key]));
}
