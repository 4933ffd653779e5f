import type { z } from 'zod';
import { BunkhouseError } from '../domain/errors.ts';
import { SCHEMA_VERSION, type State } from '../domain/state.ts';
import type { Migration } from './migrations.ts';
import type { Document } from './patch.ts';
import { stateSchema } from './schema.ts';

/**
 * A document brought to the present schema. Throws STORE_CORRUPT with what is wrong, without quoting any of the content
 * (it may be a secret), or UNSUPPORTED for one of a newer version.
 */
export function decodeState(document: Document, migrations: ReadonlyMap<number, Migration>): State {
  const state: State = check(stateSchema, migrate(document, migrations));
  return state;
}

/** What the schema takes. Throws STORE_CORRUPT with what is wrong. */
export function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.map(({ path, message }) => `${path.join('.') || 'the whole'}: ${message}`);
  throw corrupt(`${problems.slice(0, 3).join('; ')}${problems.length > 3 ? `; and ${problems.length - 3} more` : ''}`);
}

/** The JSON object a text holds. Throws STORE_CORRUPT. */
export function parseDocument(text: string): Document {
  if (text.trim() === '') throw corrupt('it is empty');
  const value = tryParse(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw corrupt('it does not hold a JSON object');
}

/** The schema a document is of. Throws STORE_CORRUPT without one, UNSUPPORTED for one that is newer than ours. */
export function schemaOf({ schema }: Document): number {
  if (typeof schema !== 'number' || !Number.isInteger(schema)) throw corrupt('it has no schema version');
  if (schema <= SCHEMA_VERSION) return schema;
  throw new BunkhouseError(
    'UNSUPPORTED',
    `it was written by a newer Bunkhouse (schema ${schema}; this one knows ${SCHEMA_VERSION}); install that version again`,
  );
}

// Private

/** The parser's own message quotes the text around the fault, so only the place is taken from it. */
function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    const place = / at position (\d+)/.exec(message)?.[1];
    const cutOff = Number(place) >= text.length || /^Unexpected end/.test(message);
    const where = place === undefined ? 'is broken' : `is broken at character ${place}`;
    throw corrupt(`its JSON ${cutOff ? 'ends too early' : where} (of ${text.length})`);
  }
}

function migrate(document: Document, migrations: ReadonlyMap<number, Migration>): Document {
  let state = document;
  for (let version = schemaOf(document); version < SCHEMA_VERSION; version++) {
    const step = migrations.get(version);
    if (step === undefined) throw corrupt(`there is no way from its schema ${version} to ${SCHEMA_VERSION}`);
    state = { ...step(state), schema: version + 1 };
  }
  return state;
}

function corrupt(what: string): BunkhouseError {
  return new BunkhouseError('STORE_CORRUPT', what);
}
