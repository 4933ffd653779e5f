import { type ParseError, parse as parseJsonc, printParseErrorCode } from 'jsonc-parser';
import { hasCode } from '../domain/errors.ts';
import type { Deployment, ForeignHost } from '../drivers/foreign-host.ts';
import {
  type Arguments,
  type DatabasePlace,
  databaseArguments,
  databasePlaces,
  declaredNames,
  keyOf,
  type Match,
  readArguments,
} from '../planner/discovery.ts';
import { readTar } from '../util/tree.ts';
import type { MigrationProblem } from './migration-api.ts';

const LARGEST_CONFIG = 1 << 20;
const LARGEST_CODE = 32 << 20;

export type Matched = Extract<Match, { kind: 'match' }>;

/** What the files of a deployment say of it, looked at without changing anything. */
export interface LegacyLook {
  readonly deployment: Deployment;
  readonly match: Matched;
  /** Null: there is none, or it is too large to be one. */
  readonly configBytes: Buffer | null;
  /** Undefined: it cannot be understood. */
  readonly config: unknown;
  readonly owner: string | null;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly database: Extract<DatabasePlace, { kind: 'file' }> | null;
  readonly problems: readonly MigrationProblem[];
}

/** Reads configuration and code. Throws what the host throws when it cannot be asked. */
export async function lookAtLegacy(host: ForeignHost, deployment: Deployment, match: Matched): Promise<LegacyLook> {
  const { rule } = match;
  const configBytes = await readFile(host, deployment, rule.paths[rule.config.path] ?? '', LARGEST_CONFIG);
  const { config, problems } = understandConfig(configBytes, match);
  const given = readArguments(deployment, rule);
  const { database, problem } = await findDatabase(host, deployment, match, given, config);
  const kept = rule.database === null ? given.kept : databaseArguments(given.kept, rule.database, rule);
  return {
    deployment,
    match,
    configBytes,
    config,
    owner: ownerOf(deployment, match, config),
    args: [...kept, ...(database?.args ?? [])],
    env: Object.fromEntries(Object.entries(deployment.env).filter(([name]) => new RegExp(rule.env).test(name))),
    database,
    problems: [
      ...problems,
      ...given.trouble.map(unknownSetting),
      ...problem,
      ...(config === undefined ? [] : await findCode(host, deployment, match, given, config)),
    ],
  };
}

export function blocking(code: MigrationProblem['code'], message: string, advice: string): MigrationProblem {
  return { code, message, advice, blocking: true };
}

/** A file of a deployment; null when it is not there, or larger than that. */
export async function readFile(
  host: ForeignHost,
  { ref }: Pick<Deployment, 'ref'>,
  path: string,
  most: number,
): Promise<Buffer | null> {
  try {
    for await (const { header, content } of readTar(host.readTree(ref, path))) {
      if (header.type !== 'file' || header.size > most) return null;
      return await collected(content);
    }
    return null;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return null;
    throw error;
  }
}

/** Whether a deployment has a file there. */
export async function isThere(host: ForeignHost, { ref }: Pick<Deployment, 'ref'>, path: string): Promise<boolean> {
  try {
    for await (const { header } of readTar(host.readTree(ref, path))) return header.type === 'file';
    return false;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

// Private

async function collected(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function understandConfig(
  bytes: Buffer | null,
  { rule, id }: Matched,
): { readonly config: unknown; readonly problems: readonly MigrationProblem[] } {
  const { path, required, refused, expected } = rule.config;
  if (bytes === null) {
    const message = `${path} is missing, or is no file of less than 1 MiB`;
    return {
      config: undefined,
      problems: [blocking('CONFIG_MISSING', message, 'put it back where its container has it')],
    };
  }
  const text = bytes.toString('utf8');
  const errors: ParseError[] = [];
  const config = parsed(text, errors);
  if (config === TOO_DEEP)
    return {
      config: undefined,
      problems: [blocking('CONFIG_INVALID', `${path} is nested too deeply`, 'put one back that a person wrote')],
    };
  const [first] = errors;
  if (first !== undefined) {
    const line = text.slice(0, first.offset).split('\n').length;
    const message = `${path} is no JSON: ${printParseErrorCode(first.error)} in line ${line}`;
    return { config: undefined, problems: [blocking('CONFIG_INVALID', message, `correct line ${line} of it`)] };
  }
  const missing = required.filter((key) => keyOf(config, key) === undefined);
  const present = refused.filter((key) => keyOf(config, key) !== undefined);
  return {
    config,
    problems: [
      ...missing.map((key) => blocking('CONFIG_INVALID', `${path} lacks ${key}`, `add ${key} to it`)),
      ...Object.entries(expected).flatMap(([key, value]) => otherwise(path, key, value, keyOf(config, key))),
      ...present.map((key) =>
        blocking(
          'CONFIG_INVALID',
          `${path} has ${key}, which cannot come along`,
          `put what it names into ${path} of ${id}`,
        ),
      ),
    ],
  };
}

const TOO_DEEP = Symbol('too deep');

function parsed(text: string, errors: ParseError[]): unknown {
  try {
    return parseJsonc(text, errors, { allowTrailingComma: true, disallowComments: false });
  } catch (error) {
    if (error instanceof RangeError) return TOO_DEEP;
    throw error;
  }
}

function otherwise(path: string, key: string, value: string, found: unknown): MigrationProblem[] {
  if (found === value) return [];
  const message = `${path} has ${found === undefined ? `no ${key}` : `${key} ${JSON.stringify(found)}`}; in the pool it is ${value} for a bot that runs`;
  const advice = 'stop the old container first if the bot is not to work';
  return [{ code: 'SETTING_CHANGES', message, advice, blocking: false }];
}

const unknownSetting = (message: string): MigrationProblem =>
  blocking('SETTING_CHANGES', message, 'make the old container without it, or bring the bot over by hand');

function ownerOf({ ref }: Deployment, { rule }: Matched, config: unknown): string | null {
  const named = rule.config.owner === null ? undefined : keyOf(config, rule.config.owner);
  if (typeof named === 'string' || typeof named === 'number') return String(named);
  return ref.kind === 'folder' ? (ref.path.split('/').at(-2) ?? null) : null;
}

async function findDatabase(
  host: ForeignHost,
  deployment: Deployment,
  { rule }: Matched,
  given: Arguments,
  config: unknown,
): Promise<{ readonly database: LegacyLook['database']; readonly problem: readonly MigrationProblem[] }> {
  if (rule.database === null || config === undefined) return { database: null, problem: [] };
  const places = databasePlaces(rule.database, rule, given, config);
  const other = places.find((place) => place.kind === 'other');
  if (other !== undefined) {
    const advice = 'move it into a SQLite file below its directory first, or bring the bot over by hand';
    return { database: null, problem: [blocking('DATABASE_UNSUPPORTED', other.why, advice)] };
  }
  for (const place of places) {
    if (place.kind === 'file' && (await isThere(host, deployment, place.old))) return { database: place, problem: [] };
  }
  return { database: null, problem: [] };
}

/** That what the bot is to run is among its files: it would end at once in the pool, or run something else. */
async function findCode(
  host: ForeignHost,
  deployment: Deployment,
  { rule }: Matched,
  { values }: Arguments,
  config: unknown,
): Promise<readonly MigrationProblem[]> {
  if (rule.code === null) return [];
  const { flag, key, folder, declares } = rule.code;
  const wanted = values.get(flag)?.at(-1) ?? keyOf(config, key);
  if (typeof wanted !== 'string') {
    const advice = `name it with ${flag} or as ${key} in ${rule.config.path}`;
    return [blocking('CODE_MISSING', `nothing says which ${key} it runs`, advice)];
  }
  const [first = '', ...rest] = folder.split('/');
  const old = [rule.paths[first] ?? `${rule.workdir}/${first}`, ...rest].join('/');
  const names = await declaredIn(host, deployment, old, declares);
  if (names.has(wanted)) return [];
  const there = [...names].slice(0, 10).join(', ') || 'none';
  const advice = `put the file with it there; there are: ${there}`;
  return [blocking('CODE_MISSING', `its ${key} ${wanted} is not in ${folder}`, advice)];
}

async function declaredIn(
  host: ForeignHost,
  { ref }: Deployment,
  folder: string,
  pattern: string,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  let left = LARGEST_CODE;
  try {
    for await (const { header, content } of readTar(host.readTree(ref, folder))) {
      if (header.type !== 'file' || !header.name.endsWith('.py') || header.size > left) continue;
      left -= header.size;
      for (const name of declaredNames((await collected(content)).toString('utf8'), pattern)) names.add(name);
    }
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
  return names;
}
