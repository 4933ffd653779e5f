import { FILE_PATH } from '../domain/ids.ts';
import type { FilesBeside } from './files-beside.ts';
import type { Problem } from './template-document.ts';

/** Texts of a template that may be in files beside it, one or several in a row: the key that names them, and the key that the text takes. */
const NAMING: Readonly<Record<string, string>> = { textFrom: 'text', stdinFrom: 'stdin' };
/** Where anything may stand, also keys with these names. */
const FREE = new Set(['json', 'env']);

/** Names of the files that hold texts of the template, as its YAML gives them. */
export function textFilesNamedBy(document: unknown): string[] {
  const names: string[] = [];
  replaceTexts(document, (name) => {
    names.push(name);
    return '';
  });
  return names;
}

/** The document with the texts of those files in place of their names; worth something only without problems. */
export function resolveTexts(
  document: unknown,
  beside: FilesBeside,
): { readonly value: unknown; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const value = replaceTexts(
    document,
    (name, path) => {
      const found = beside.get(name) ?? { problem: 'was not read' };
      if ('text' in found) return found.text;
      problems.push({ path, message: `names ${name}, which ${found.problem}` });
      return '';
    },
    (path, message) => void problems.push({ path, message }),
  );
  return { value, problems };
}

// Private

type Path = readonly PropertyKey[];
type Tell = (path: Path, message: string) => void;

function replaceTexts(
  value: unknown,
  textOf: (name: string, path: Path) => string,
  tell: Tell = () => {},
  path: Path = [],
): unknown {
  if (Array.isArray(value)) return value.map((item, index) => replaceTexts(item, textOf, tell, [...path, index]));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]): readonly [string, unknown] => {
    const here = [...path, key];
    const taken = Object.hasOwn(NAMING, key) ? NAMING[key] : undefined;
    if (taken === undefined) return [key, FREE.has(key) ? inner : replaceTexts(inner, textOf, tell, here)];
    if (Object.hasOwn(value, taken)) tell(here, `must not stand beside ${taken}; keep one of the two`);
    const names = [inner].flat();
    if (names.length > 0 && names.every(isName)) return [taken, names.map((name) => textOf(name, here)).join('')];
    tell(here, 'must name a file beside the template, or several: relative paths without empty, "." or ".." parts');
    return [taken, ''];
  });
  return Object.fromEntries(entries);
}

const isName = (value: unknown): value is string => typeof value === 'string' && FILE_PATH.test(value);
