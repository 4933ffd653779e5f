import { PLACEHOLDER_FORMS, parsePlaceholders } from '../domain/placeholders.ts';
import type { Problem } from './template-document.ts';
import type { TemplateContent } from './template-schema.ts';

/** Parts of a template that are filled in for each bot; placeholders anywhere else would stay as they are. */
const FILLED_IN = ['command', 'env', 'files', 'checks', 'control', 'proxy', 'lease.reset'];

/** Placeholders of a form nobody knows, of secrets that are not declared, and in places where none are filled in. */
export function findPlaceholderProblems({ secrets }: TemplateContent, document: unknown): Problem[] {
  return textsOf(document, []).flatMap(({ path, text }) =>
    parsePlaceholders(text).flatMap(({ text: shown, placeholder }) => {
      if (!isFilledIn(path)) return [{ path, message: `is not filled in for each bot, so ${shown} is not allowed` }];
      if (placeholder === null) {
        return [
          { path, message: `holds ${shown}, which is no placeholder; allowed are ${PLACEHOLDER_FORMS.join(' ')}` },
        ];
      }
      if (placeholder.kind === 'value' || Object.hasOwn(secrets, placeholder.secret)) return [];
      return [
        { path, message: `holds ${shown}, but there is no secret ${placeholder.secret}; declare it under secrets` },
      ];
    }),
  );
}

// Private

const isFilledIn = (path: readonly PropertyKey[]): boolean =>
  FILLED_IN.some((part) => part === String(path[0]) || part === path.slice(0, 2).join('.'));

function textsOf(value: unknown, path: readonly PropertyKey[]): { path: readonly PropertyKey[]; text: string }[] {
  if (typeof value === 'string') return [{ path, text: value }];
  if (typeof value !== 'object' || value === null) return [];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return entries.flatMap(([key, inner]) => textsOf(inner, [...path, key]));
}
