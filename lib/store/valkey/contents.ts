import { BunkhouseError } from '../../domain/errors.ts';
import type { State } from '../../domain/state.ts';
import { Table } from '../../domain/table.ts';
import type { Document, Patch } from '../patch.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './location.ts';

/** What the server holds. Null: nothing yet. */
export interface Contents {
  readonly document: Document;
  /** Id of the last commit. */
  readonly commit: string;
  /** Where the containers are that the state tells of. */
  readonly home: string;
}

/**
 * Reads everything: single fields from the hash `meta`, sections from a hash each. Only for the leader, because nobody
 * else writes meanwhile. Throws STORE_CORRUPT.
 */
export async function readContents(connection: Connection, keys: Keys): Promise<Contents | null> {
  const { commit, home = '', sections, ...fields } = await connection.readHash(keys.meta);
  if (commit === undefined && sections === undefined) return null;
  if (commit === undefined || sections === undefined) throw new BunkhouseError('STORE_CORRUPT', 'meta is not whole');
  const document: Record<string, unknown> = parseAll('meta', fields);
  for (const name of parse('meta', sections) as string[]) {
    document[name] = parseAll(name, await connection.readHash(keys.section(name)));
  }
  return { document, commit, home };
}

/** The records of one section. Throws STORE_CORRUPT. */
export async function readRecords(connection: Connection, keys: Keys, name: string): Promise<unknown[]> {
  return Object.values(parseAll(name, await connection.readHash(keys.section(name))));
}

/** Keys and steps of the script COMMIT. */
export interface CommitSteps {
  readonly keys: readonly string[];
  readonly steps: readonly string[];
}

/** A patch as steps. */
export function stepsOf({ set, put, drop }: Patch, keys: Keys): CommitSteps {
  const names = [...new Set([...Object.keys(put), ...Object.keys(drop)])];
  const indexOf = (name: string): string => String(FIRST_SECTION + names.indexOf(name));
  const steps = [
    ...Object.entries(set).flatMap(([name, value]) => ['put', META, name, JSON.stringify(value)]),
    ...Object.entries(drop).flatMap(([name, gone]) => gone.flatMap((key) => ['drop', indexOf(name), key])),
    ...Object.entries(put).flatMap(([name, records]) =>
      Object.entries(records).flatMap(([key, record]) => ['put', indexOf(name), key, JSON.stringify(record)]),
    ),
  ];
  return { keys: names.map((name) => keys.section(name)), steps };
}

/** A whole state in place of whatever is there, as steps: of a new installation, or after a migration. */
export function replacingSteps(state: State, before: Document, keys: Keys): CommitSteps {
  const fields = Object.entries(state);
  const sections = fields.filter(([, value]) => typeof value === 'object').map(([name, value]) => [name, plain(value)]);
  const scalars = fields.filter(([, value]) => typeof value !== 'object');
  const put = stepsOf({ set: Object.fromEntries(scalars), put: Object.fromEntries(sections), drop: {} }, keys);
  const names = sections.map(([name]) => name);
  const gone = Object.keys(before).filter((name) => typeof before[name] === 'object' && !names.includes(name));
  const all = [...put.keys, ...gone.map((name) => keys.section(name))];
  const clear = all.flatMap((_, n) => ['clear', String(FIRST_SECTION + n)]);
  const steps = ['clear', META, ...clear, 'put', META, 'sections', JSON.stringify(names), ...put.steps];
  return { keys: all, steps };
}

/** Notes where the containers are that the state tells of, as a step beside others. */
export function withHome({ keys, steps }: CommitSteps, home: string): CommitSteps {
  return { keys, steps: [...steps, 'put', META, 'home', home] };
}

// Private

/** A section as a record of records. */
function plain(section: unknown): unknown {
  return section instanceof Table ? Object.fromEntries(section.entries) : section;
}

/** Numbers of the keys of the script COMMIT: the fence, `meta`, sections. */
const META = '2';
const FIRST_SECTION = 3;

function parseAll(place: string, values: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([key, text]) => [key, parse(`${place}.${key}`, text)]));
}

/** The parser's message would quote the content, which may be a secret. */
function parse(place: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BunkhouseError('STORE_CORRUPT', `${place} is not JSON`);
  }
}
