import { BunkhouseError } from '../domain/errors.ts';
import { SCHEMA_VERSION, type State } from '../domain/state.ts';
import type { Migration } from './migrations.ts';
import { stateSchema } from './schema.ts';

/**
 * The state a file holds, brought to the present schema. Throws STORE_CORRUPT with what is wrong, without quoting any of
 * the content (it may be a secret), or UNSUPPORTED for a file of a newer version.
 */
export function decodeState(text: string, migrations: ReadonlyMap<number, Migration>): State {
  const migrated = migrate(parseJson(text), migrations);
  const checked = stateSchema.safeParse(migrated);
  if (checked.success) return checked.data satisfies State;
  const problems = checked.error.issues.map(({ path, message }) => `${path.join('.') || 'the whole'}: ${message}`);
  throw corrupt(`${problems.slice(0, 3).join('; ')}${problems.length > 3 ? `; and ${problems.length - 3} more` : ''}`);
}

// Private

function parseJson(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === '') throw corrupt('it is empty');
  const value = tryParse(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw corrupt('it does not hold a JSON object');
}

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

function migrate(
  raw: Readonly<Record<string, unknown>>,
  migrations: ReadonlyMap<number, Migration>,
): Readonly<Record<string, unknown>> {
  let state = raw;
  for (let version = versionOf(raw); version < SCHEMA_VERSION; version++) {
    const step = migrations.get(version);
    if (step === undefined) throw corrupt(`there is no way from its schema ${version} to ${SCHEMA_VERSION}`);
    state = { ...step(state), schema: version + 1 };
  }
  return state;
}

function versionOf({ schema }: Readonly<Record<string, unknown>>): number {
  if (typeof schema !== 'number' || !Number.isInteger(schema)) throw corrupt('it has no schema version');
  if (schema <= SCHEMA_VERSION) return schema;
  throw new BunkhouseError(
    'UNSUPPORTED',
    `it was written by a newer Bunkhouse (schema ${schema}; this one knows ${SCHEMA_VERSION}); install that version again`,
  );
}

function corrupt(what: string): BunkhouseError {
  return new BunkhouseError('STORE_CORRUPT', what);
}
