import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { parseEnv } from 'node:util';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { compatProblems } from './compat.ts';
import { locationProblems } from './locations.ts';
import { nearest } from './nearest.ts';
import { CLI_VARIABLES, type Config, ROWS, SETTINGS, type Setting } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadedConfig {
  readonly config: Config;
  /** A sentence each, for the log. */
  readonly warnings: readonly string[];
}

export interface LoadOptions {
  /** Read when it is there; the environment wins over it. */
  readonly envFile?: string;
  /** Whether to take root's defaults. */
  readonly root?: boolean;
}

/** Reads all settings from the environment and the `.env` file. Throws one INVALID that lists everything that is wrong. */
export function loadConfig(env: Environment, options: LoadOptions = {}): LoadedConfig {
  const { envFile = '.env', root = process.getuid?.() === 0 } = options;
  const sources: readonly Source[] = [
    { name: 'environment', values: env },
    { name: envFile, values: readEnvFile(envFile) },
  ];
  const problems: string[] = [];
  const folders: Record<string, string> = { STATE_HOME: stateHome(env, root) };
  const config: Record<string, unknown> = {};
  for (const [name, setting] of ROWS) {
    const given = find(setting, sources, problems);
    const text = given?.text ?? fillIn(setting.default, folders);
    const parsed = setting.kind.schema.safeParse(text);
    if (parsed.success) config[name] = parsed.data;
    else problems.push(describe(setting, text, given));
    if (setting === SETTINGS.dataDir) folders.DATA_DIR = parsed.success ? text : '/';
  }
  if (problems.length === 0) problems.push(...locationProblems(config as Config), ...compatProblems(config as Config));
  if (problems.length > 0) throw invalid(problems);
  // Every row has put in what its kind parses to, which is how Config is made from the table.
  return { config: config as Config, warnings: unknownKeys(sources) };
}

/** Default of a setting as text, with its folders filled in. */
export function defaultOf(setting: Setting<unknown>, dataDir: string): string {
  return fillIn(setting.default, { STATE_HOME: join(dataDir, '..'), DATA_DIR: dataDir });
}

// Private

interface Source {
  readonly name: string;
  readonly values: Environment;
}

interface Given {
  readonly key: string;
  readonly text: string;
  readonly source: string;
}

/** The first source that has the setting, by whichever of its names. */
function find(setting: Setting<unknown>, sources: readonly Source[], problems: string[]): Given | null {
  for (const source of sources) {
    const [first, ...others] = [setting.key, ...(setting.aliases ?? [])].flatMap((key) => {
      const text = source.values[key];
      return text === undefined ? [] : [{ key, text: text.trim(), source: source.name }];
    });
    const other = others.find(({ text }) => text !== first?.text);
    if (other !== undefined)
      problems.push(`${first?.key} and ${other.key} are the same setting but differ: set one of them`);
    if (first !== undefined) return first;
  }
  return null;
}

function describe(setting: Setting<unknown>, text: string, given: Given | null): string {
  const shown = setting.secret === true ? '(not shown)' : JSON.stringify(text);
  return `${given?.key ?? setting.key} = ${shown} (${given?.source ?? 'default'}): allowed is ${setting.kind.allowed}`;
}

function invalid(problems: readonly string[]): BunkhouseError {
  const count = problems.length === 1 ? 'A setting is' : `${problems.length} settings are`;
  return new BunkhouseError('INVALID', `${count} wrong:\n${problems.map((line) => `  ${line}`).join('\n')}`, {
    details: { problems },
  });
}

function fillIn(text: string, folders: Readonly<Record<string, string>>): string {
  return text.replaceAll(/<([A-Z_]+)>/g, (_, name: string) => folders[name] ?? '');
}

function stateHome(env: Environment, root: boolean): string {
  if (root) return '/var/lib';
  const { XDG_STATE_HOME, HOME } = env;
  // The specification of XDG says to ignore relative paths.
  if (XDG_STATE_HOME !== undefined && isAbsolute(XDG_STATE_HOME)) return XDG_STATE_HOME;
  return join(HOME ?? homedir(), '.local/state');
}

function readEnvFile(path: string): Environment {
  try {
    return parseEnv(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
    throw new BunkhouseError('INVALID', `The settings in ${path} cannot be read: ${messageOf(error)}`);
  }
}

/** Variables of ours that the supervisor itself does not read: those of the command line and of the tests. */
const NOT_SETTINGS = ['BUNKHOUSE_URL', 'BUNKHOUSE_TOKEN', 'BUNKHOUSE_TEST_VENV'];

/** A misspelt setting would silently do nothing. */
function unknownKeys(sources: readonly Source[]): string[] {
  const known = [...ROWS.flatMap(([, { key, aliases = [] }]) => [key, ...aliases]), ...NOT_SETTINGS];
  return sources.flatMap(({ name, values }) =>
    Object.keys(values)
      .filter((key) => /^(POOL|BUNKHOUSE)_/.test(key) && ![...known, ...CLI_VARIABLES].includes(key))
      .map((key) => {
        const meant = nearest(key, known);
        return `${key} (${name}) is no setting and is ignored${meant === null ? '' : `; did you mean ${meant}?`}`;
      }),
  );
}
