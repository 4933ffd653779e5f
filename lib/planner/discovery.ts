import type { DatabaseRule, Discovery, FlagRule } from '../domain/discovery.ts';
import type { Template } from '../domain/template.ts';
import type { Deployment } from '../drivers/foreign-host.ts';

/** What follows from what an engine tells of deployments of old, and from their files. Pure. */

export type Match =
  | { readonly kind: 'match'; readonly id: string; readonly template: Template; readonly rule: Discovery }
  | { readonly kind: 'other'; readonly why: string };

/** Which template a deployment is of; the first that fits. */
export function matchDeployment(deployment: Deployment, templates: ReadonlyMap<string, Template>): Match {
  const rules = [...templates.values()].flatMap((template) =>
    template.discovery === null ? [] : [{ template, rule: template.discovery }],
  );
  if (rules.length === 0) return { kind: 'other', why: 'no template says how to find its bots (discovery)' };
  for (const { template, rule } of rules) {
    const id = new RegExp(rule.name).exec(deployment.name)?.groups?.id;
    if (id === undefined) continue;
    if (new RegExp(rule.image).test(deployment.image) || isMounted(deployment, rule))
      return { kind: 'match', id, template, rule };
    return { kind: 'other', why: `its name is that of a ${template.name}, but neither its image nor its mounts are` };
  }
  return { kind: 'other', why: 'its name is none that a template looks for' };
}

export interface Arguments {
  /** For the bot, with paths as they are in its directory. */
  readonly kept: readonly string[];
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** Why the rest cannot come along; empty when all can. */
  readonly trouble: readonly string[];
}

/** What of the old argument list becomes the bot's. */
export function readArguments({ command }: Pick<Deployment, 'command'>, rule: Discovery): Arguments {
  const given = pairsOf(withoutProgram(command, rule.command), rule);
  const values = new Map<string, string[]>();
  for (const { flag, value } of given) if (value !== undefined) values.set(flag, [...(values.get(flag) ?? []), value]);
  const kept = given.filter(({ what }) => what?.startsWith('keep'));
  return {
    kept: kept.flatMap(({ flag, value }) => (value === undefined ? [flag] : [flag, inBot(value, rule) ?? value])),
    values,
    trouble: given.flatMap((argument) => troubleOf(argument, rule)),
  };
}

/** A path of the container as the bot sees it; null for one that does not come along, or is none. */
export function inBot(path: string, { paths, workdir }: Discovery): string | null {
  if (!path.startsWith('/')) return null;
  const below = (folder: string): string | null =>
    path === folder ? '' : path.startsWith(`${folder.replace(/\/$/, '')}/`) ? path.slice(folder.length + 1) : null;
  for (const [bot, old] of Object.entries(paths)) {
    const rest = below(old);
    if (rest !== null) return rest === '' ? bot : `${bot}/${rest}`;
  }
  const rest = below(workdir);
  return rest === null ? null : rest || '.';
}

export type DatabasePlace =
  | {
      readonly kind: 'file';
      /** Absolute, in the container. */
      readonly old: string;
      /** In the bot's directory. */
      readonly path: string;
      /** Arguments with which the bot finds it, where it would not by itself. */
      readonly args: readonly string[];
    }
  | { readonly kind: 'other'; readonly why: string };

/** Where the databases are that an URL names; several where nothing names one. */
export function databasePlaces(
  rule: DatabaseRule,
  discovery: Discovery,
  { values }: Pick<Arguments, 'values'>,
  config: unknown,
): readonly DatabasePlace[] {
  const given = values.get(rule.flag)?.at(-1);
  const configured = keyOf(config, rule.key);
  if (given !== undefined) return [placeOf(given, rule, discovery, false)];
  if (typeof configured === 'string') return [placeOf(configured, rule, discovery, true)];
  return rule.defaults.map((url) => placeOf(url, rule, discovery, false));
}

/** An argument that names the database by an absolute path must name the bot's. */
export function databaseArguments(kept: readonly string[], rule: DatabaseRule, discovery: Discovery): string[] {
  return kept.map((word, at) => (kept[at - 1] === rule.flag ? (relativeUrl(word, discovery) ?? word) : word));
}

/** A value by a key of keys with dots between; undefined when it is not there. */
export function keyOf(config: unknown, key: string): unknown {
  let value = config;
  for (const part of key.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Names that the lines of a program declare, by the rule's pattern. */
export function declaredNames(text: string, pattern: string): string[] {
  const found = new RegExp(pattern);
  return text.split('\n').flatMap((line) => found.exec(line)?.groups?.name ?? []);
}

// Private

interface Argument {
  readonly flag: string;
  /** Undefined: no template knows it. */
  readonly what: FlagRule | undefined;
  readonly value: string | undefined;
}

function pairsOf(words: readonly string[], rule: Discovery): Argument[] {
  const [word, ...rest] = words;
  if (word === undefined) return [];
  const [flag = '', given] = word.startsWith('--') ? (word.split(/=(.*)/s, 2) as [string, string?]) : [word];
  const what = Object.hasOwn(rule.flags, flag) ? rule.flags[flag] : undefined;
  if (what === undefined) return [{ flag: word, what, value: undefined }, ...pairsOf(rest, rule)];
  if (!what.endsWith('-value')) return [{ flag, what, value: undefined }, ...pairsOf(rest, rule)];
  const [value, after] = given === undefined ? [rest[0], rest.slice(1)] : [given, rest];
  return [{ flag, what, value }, ...pairsOf(after, rule)];
}

function troubleOf({ flag, what, value }: Argument, rule: Discovery): string[] {
  if (what === undefined) return [`the argument ${JSON.stringify(flag)} is not known`];
  if (what.endsWith('-value') && value === undefined) return [`the argument ${flag} lacks its value`];
  if (!rule.config.flags.includes(flag) || value === undefined) return [];
  const path = value.startsWith('/') ? value : `${rule.workdir}/${value}`;
  return inBot(path, rule) === rule.config.path ? [] : [`${flag} ${value} is not the configuration that comes along`];
}

const isMounted = ({ mounts }: Deployment, { paths }: Discovery): boolean =>
  Object.values(paths).every((path) => mounts.some(({ target }) => target === path));

/** Images may have the program as their entry point, or the container its own words before it. */
function withoutProgram(command: readonly string[], program: readonly string[]): readonly string[] {
  const words = [...command];
  for (const part of program) {
    const first = words[0]?.split('/').at(-1);
    if (first === part) words.shift();
  }
  return words;
}

const SQLITE = /^sqlite:\/\/\/([^?#]*)(.*)$/s;

function placeOf(url: string, rule: DatabaseRule, discovery: Discovery, configured: boolean): DatabasePlace {
  const [, path = ''] = SQLITE.exec(url) ?? [];
  if (path === '' || path.includes(':memory:'))
    return { kind: 'other', why: 'its database is no SQLite file, so nothing would be moved and nothing proven' };
  const old = path.startsWith('/') ? path : `${discovery.workdir.replace(/\/$/, '')}/${path.replace(/^\.\//, '')}`;
  const inside = inBot(old, discovery);
  if (inside === null) return { kind: 'other', why: `its database ${old} lies outside of ${discovery.workdir}` };
  const absolute = configured ? relativeUrl(url, discovery) : null;
  return { kind: 'file', old, path: inside, args: absolute === null ? [] : [rule.flag, absolute] };
}

/** Null when it is relative already. */
function relativeUrl(url: string, discovery: Discovery): string | null {
  const [, path = '', rest = ''] = SQLITE.exec(url) ?? [];
  const inside = path.startsWith('/') ? inBot(path, discovery) : null;
  return inside === null ? null : `sqlite:///${inside}${rest}`;
}
