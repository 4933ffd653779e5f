import type { State } from '../domain/state.ts';
import { Table } from '../domain/table.ts';

type Scalar = string | number;
type Section = Readonly<Record<string, object>>;

/** What differs between two states: new values of single fields, and of each section the records put in and dropped. */
export interface Patch {
  readonly set: Readonly<Record<string, Scalar>>;
  readonly put: Readonly<Record<string, Section>>;
  readonly drop: Readonly<Record<string, readonly string[]>>;
}

/** A state of whatever schema, as it is kept: single fields, and sections of records by key. */
export type Document = Readonly<Record<string, unknown>>;

/**
 * What must be kept so that `before` becomes `after`. Records are immutable, so the same one by reference is the same by
 * content. Of tables only what changed is looked at, of plain sections every key.
 */
export function diffState(before: State, after: State): Patch {
  const set: [string, Scalar][] = [];
  const put: [string, Section][] = [];
  const drop: [string, readonly string[]][] = [];
  for (const [name, now] of fieldsOf(after)) {
    const old = before[name as keyof State];
    if (now === old) continue;
    if (typeof now !== 'object' || typeof old !== 'object') {
      set.push([name, now as Scalar]);
      continue;
    }
    const changes = tableOf(now).since(tableOf(old));
    if (changes.put.length > 0) put.push([name, Object.fromEntries(changes.put)]);
    if (changes.drop.length > 0) drop.push([name, changes.drop]);
  }
  return { set: Object.fromEntries(set), put: Object.fromEntries(put), drop: Object.fromEntries(drop) };
}

export function isEmpty({ set, put, drop }: Patch): boolean {
  return [set, put, drop].every((part) => Object.keys(part).length === 0);
}

/** The document after all the patches, in order. Sections are copied once, however many patches there are. */
export function applyPatches(document: Document, patches: Iterable<Patch>): Document {
  const fields = new Map(Object.entries(document));
  const sections = new Map<string, Map<string, unknown>>();
  const section = (name: string): Map<string, unknown> => {
    const open = sections.get(name) ?? new Map(Object.entries(fields.get(name) ?? {}));
    sections.set(name, open);
    return open;
  };
  for (const { set, put, drop } of patches) {
    for (const [name, value] of Object.entries(set)) fields.set(name, value);
    for (const [name, keys] of Object.entries(drop)) for (const key of keys) section(name).delete(key);
    for (const [name, records] of Object.entries(put)) {
      for (const [key, record] of Object.entries(records)) section(name).set(key, record);
    }
  }
  for (const [name, records] of sections) fields.set(name, Object.fromEntries(records));
  return Object.fromEntries(fields);
}

// Private

/** Does not compile when the state gets a field that is neither a single value nor a section of records. */
function fieldsOf(state: State): [string, Scalar | Section | Table<object>][] {
  const fields: Readonly<Record<keyof State, Scalar | Section | Table<object>>> = state;
  return Object.entries(fields);
}

const tableOf = (section: Section | Table<object>): Table<object> =>
  section instanceof Table ? section : Table.of(section);
