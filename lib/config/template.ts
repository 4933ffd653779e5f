import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { Template } from '../domain/template.ts';
import { type FilesBeside, readBeside } from './files-beside.ts';
import { type Problem, parseDocument, type TemplateDocument } from './template-document.ts';
import { findLeaseProblems } from './template-lease.ts';
import { findPlaceholderProblems } from './template-placeholders.ts';
import { filesNamedBy, resolvePrefork } from './template-prefork.ts';
import { type TemplateContent, type TemplateForm, templateSchema } from './template-schema.ts';
import { resolveTexts, textFilesNamedBy } from './template-texts.ts';

/**
 * The template a YAML text describes. `file` is its name for messages, `beside` holds the files it names. Throws one
 * INVALID that lists every problem with its line, its place in the document and what is allowed.
 */
export function parseTemplate(text: string, file: string, beside: FilesBeside = new Map()): Template {
  return complete(parseForm(parseYaml(text, file), file, beside), file, beside);
}

/** Reads one file and those it names; throws as `parseTemplate`, or NOT_FOUND. */
export async function loadTemplate(file: string): Promise<Template> {
  const document = parseYaml(await read(file), file);
  const texts = await readBeside(dirname(file), textFilesNamedBy(document.value));
  const parsed = parseForm(document, file, texts);
  return complete(parsed, file, await readBeside(dirname(file), filesNamedBy(parsed.form)));
}

/**
 * All templates (`*.yaml`, `*.yml`) of the folders by name; a later folder's takes the place of an earlier one's of the
 * same name. A folder that is not there holds none. Throws one INVALID for all files together.
 */
export async function loadTemplates(folders: readonly string[]): Promise<Map<string, Template>> {
  const templates = new Map<string, Template>();
  const problems: string[] = [];
  for (const folder of folders) {
    const here = new Map<string, string>();
    for (const file of await templateFiles(folder)) {
      const template = await loadTemplate(file).catch((error: unknown) => void problems.push(messageOf(error)));
      if (template === undefined) continue;
      const other = here.get(template.name);
      if (other !== undefined) problems.push(`${file}: the name ${template.name} is taken by ${other}`);
      here.set(template.name, file);
      templates.set(template.name, template);
    }
  }
  if (problems.length > 0) throw new BunkhouseError('INVALID', problems.join('\n'));
  return templates;
}

// Private

interface Parsed {
  readonly document: TemplateDocument;
  /** What the YAML says, with the texts of files beside it in place of their names. */
  readonly value: unknown;
  readonly form: TemplateForm;
}

function parseYaml(text: string, file: string): TemplateDocument {
  const document = parseDocument(text);
  refuseIfAny(file, document.problems);
  return document;
}

function parseForm(document: TemplateDocument, file: string, beside: FilesBeside): Parsed {
  const { value, problems } = resolveTexts(document.value, beside);
  refuseIfAny(file, located(document, problems));
  const parsed = templateSchema.safeParse(value);
  if (!parsed.success) throw invalid(file, parsed.error.issues.flatMap(document.locateIssue));
  return { document, value, form: parsed.data };
}

function complete({ document, value, form }: Parsed, file: string, beside: FilesBeside): Template {
  const { prefork, problems } = resolvePrefork(form.prefork, beside);
  const content: TemplateContent = { ...form, prefork };
  const found = [...findPlaceholderProblems(content, value), ...findLeaseProblems(content), ...problems];
  refuseIfAny(file, located(document, found));
  return { ...content, version: versionOf(content) };
}

function located(document: TemplateDocument, problems: readonly Problem[]): string[] {
  return problems.map(({ path, message }) => document.locate(path, message));
}

async function templateFiles(folder: string): Promise<string[]> {
  try {
    const names = (await readdir(folder)).filter((name) => /^[^.].*\.ya?ml$/.test(name));
    return names.sort().map((name) => join(folder, name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw new BunkhouseError('INVALID', `The folder of templates ${folder} cannot be read: ${messageOf(error)}`);
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new BunkhouseError(
      isMissing(error) ? 'NOT_FOUND' : 'INVALID',
      `The template cannot be read: ${messageOf(error)}`,
    );
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function refuseIfAny(file: string, problems: readonly string[]): void {
  if (problems.length > 0) throw invalid(file, problems);
}

function invalid(file: string, unsorted: readonly string[]): BunkhouseError {
  const line = (problem: string): number => Number(/^:(\d+)/.exec(problem)?.[1]);
  const problems = unsorted.toSorted((a, b) => line(a) - line(b));
  return new BunkhouseError('INVALID', problems.map((problem) => `${file}${problem}`).join('\n'), {
    details: { problems },
  });
}

/** Equal content has an equal version, whatever the order and layout of the YAML. */
/** How deployments of old are found changes no bot. */
function versionOf({ discovery: _, ...content }: TemplateContent): string {
  return createHash('sha256').update(canonicalJson(content)).digest('hex').slice(0, 12);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
