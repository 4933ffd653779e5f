import type { Prefork } from '../domain/template.ts';
import type { FilesBeside } from './files-beside.ts';
import { MOST_MODULES, parsePreloadList } from './preload-list.ts';
import type { Problem } from './template-document.ts';
import type { TemplateForm } from './template-schema.ts';

const WARMUP_BYTES = 64 * 1024;
/** A file that is no list at all need not be shown line by line. */
const MOST_SHOWN = 5;

/** Names of the files beside the template whose content belongs to it. */
export function filesNamedBy({ prefork }: TemplateForm): string[] {
  return [prefork?.preloadFrom, prefork?.warmup].filter((name) => typeof name === 'string');
}

/** The domain's Prefork, with the content of the files in place of their names; worth something only without problems. */
export function resolvePrefork(
  form: TemplateForm['prefork'],
  beside: FilesBeside,
): { readonly prefork: Prefork | null; readonly problems: readonly Problem[] } {
  if (form === null) return { prefork: null, problems: [] };
  const { preloadFrom, warmup, preload, ...rest } = form;
  const list = lookUp('preloadFrom', preloadFrom, beside);
  const source = lookUp('warmup', warmup, beside);
  return {
    prefork: {
      ...rest,
      preload: list.text === null ? preload : parsePreloadList(list.text).modules,
      warmup: source.text,
    },
    problems: [...list.problems, ...source.problems],
  };
}

// Private

/** What is wrong with the content, to follow `names FILE, `. */
const CHECKS = {
  preloadFrom(text: string): string[] {
    const { modules, wrong } = parsePreloadList(text);
    if (modules.length > MOST_MODULES) return [`which lists ${modules.length} modules; at most ${MOST_MODULES}`];
    return wrong
      .slice(0, MOST_SHOWN)
      .map(({ line, text }) => `whose line ${line} must be the dotted name of a Python module, not ${quote(text)}`);
  },
  warmup(text: string): string[] {
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > WARMUP_BYTES) return [`which has ${bytes} bytes; at most ${WARMUP_BYTES}`];
    return text.includes('\0') ? ['which must not hold a NUL character'] : [];
  },
};

/** Text of the file that a key names; null when it names none, or one that cannot be had. */
function lookUp(
  key: keyof typeof CHECKS,
  name: string | null,
  beside: FilesBeside,
): { readonly text: string | null; readonly problems: readonly Problem[] } {
  if (name === null) return { text: null, problems: [] };
  const tell = (what: string): Problem => ({ path: ['prefork', key], message: `names ${name}, ${what}` });
  const found = beside.get(name) ?? { problem: 'was not read' };
  if ('problem' in found) return { text: null, problems: [tell(`which ${found.problem}`)] };
  return { text: found.text, problems: CHECKS[key](found.text).map(tell) };
}

const quote = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
