import { type Document, isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import type { z } from 'zod';
import { messageOf } from '../domain/errors.ts';

type Path = readonly PropertyKey[];

/** What is wrong with what stands at a place of the document; `message` goes on after the place's name. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
}

/** A YAML document that knows at which line everything is. Problems begin with `:LINE: `, to be put after the file's name. */
export interface TemplateDocument {
  readonly value: unknown;
  /** Of the YAML itself; then `value` is worth nothing. */
  readonly problems: readonly string[];
  locate(path: Path, message: string): string;
  locateIssue(issue: z.core.$ZodIssue): string[];
}

export function parseDocument(text: string): TemplateDocument {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const [document] = documents;
  if (document === undefined || documents.length !== 1) return broken(':1: a template is exactly one YAML document');
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0)
    return broken(...faults.map(({ pos, message }) => `:${lines.linePos(pos[0]).line}: ${message}`));
  const { value, problem } = plainValue(document);
  if (problem !== null) return broken(`:1: ${problem}`);
  const locate = (path: Path, message: string): string =>
    `:${lines.linePos(offsetOf(document, path)).line}: ${showPath(path)}${message}`;
  return { value, problems: [], locate, locateIssue: (issue) => locateIssue(issue, value, locate) };
}

// Private

function broken(...problems: string[]): TemplateDocument {
  return { value: null, problems, locate: (_, message) => message, locateIssue: () => [] };
}

/** Aliases of nothing, and ones that multiply ("billion laughs"), are found only here. */
function plainValue(document: Document): { readonly value: unknown; readonly problem: string | null } {
  try {
    return { value: document.toJS() ?? null, problem: null };
  } catch (error) {
    return { value: null, problem: messageOf(error) };
  }
}

function locateIssue(issue: z.core.$ZodIssue, value: unknown, locate: TemplateDocument['locate']): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) =>
      locate([...issue.path, key], 'is no key of a template; remove it or check its spelling'),
    );
  }
  // What is wrong with a key itself is said inside the issue.
  if (issue.code === 'invalid_key') return [locate(issue.path, issue.issues.map(({ message }) => message).join('; '))];
  const found = valueAt(value, issue.path);
  // The schema's own sentences begin with "must"; zod's would speak of its own terms.
  const own = /^(must|needs) /.test(issue.message);
  if (issue.code === 'invalid_type' && !own) return [locate(issue.path, describeType(issue.expected, found))];
  return [locate(issue.path, found === undefined ? `is missing: it ${issue.message}` : inOurWords(issue.message))];
}

const NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'a map of keys and values',
  record: 'a map of keys and values',
  string: 'text',
};

function describeType(expected: string, found: unknown): string {
  const allowed = NAMES[expected] ?? expected;
  if (found === undefined) return `is missing; it must be ${allowed}`;
  const quotable = expected === 'string' && (typeof found === 'number' || typeof found === 'boolean');
  return `must be ${allowed}${quotable ? `: put it in quotes ("${found}")` : ''}`;
}

/** Where the thing at a path begins; what is not there begins where its nearest parent does. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const offset = keyOffset(document, path.slice(0, length));
    if (offset !== undefined) return offset;
  }
  return 0;
}

function keyOffset(document: Document, path: Path): number | undefined {
  const key = path.at(-1);
  const parent = path.length < 2 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (key !== undefined && isMap(parent)) {
    const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
    return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  }
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return (node as { range?: readonly number[] | null } | undefined)?.range?.[0];
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

function showPath(path: Path): string {
  if (path.length === 0) return '';
  const [first, ...rest] = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`));
  return `${[first?.replace(/^\./, ''), ...rest].join('')} `;
}

/** Continues a sentence that began with the place. */
function inOurWords(message: string): string {
  return message.replace(/^Invalid \w+/, 'is not allowed').replace(/^Too (small|big)/, 'is too $1');
}
