import type { Document } from './patch.ts';

/** Turns a state of one schema into that of the next; pure. */
export type Migration = (old: Document) => Document;

/** By the schema a migration starts from. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map([
  // The same state. Its files are followed by journals, which a version that does not know them would leave out.
  [1, (state) => state],
  [2, addLeases],
  [3, addRestores],
  [4, addMoves],
]);

/** Schema 3 knows bots that are handed out on lease. */
function addLeases(old: Document): Document {
  const bots = Object.entries(Object(old.bots)).map(([id, bot]) => [id, { ...Object(bot), reserve: null }]);
  return { ...old, bots: Object.fromEntries(bots), leases: {}, quotas: {} };
}

/** Schema 4 knows bots whose data is to be replaced by that of a backup. */
function addRestores(old: Document): Document {
  const bots = Object.entries(Object(old.bots)).map(([id, bot]) => [id, { ...Object(bot), restore: null }]);
  return { ...old, bots: Object.fromEntries(bots) };
}

/**
 * Schema 5 knows bots that move, containers of one bot, rolling upgrades, restores that will not be, and deployments of old that
 * are brought over.
 */
function addMoves(old: Document): Document {
  return {
    ...old,
    bots: withAll(withFailures(old.bots), { move: null, legacy: null }),
    containers: withAll(old.containers, { soleBot: null, emptying: null, entered: true }),
    consolidatedAt: 0,
    upgrades: {},
    migrations: {},
  };
}

function withFailures(bots: unknown): Record<string, unknown> {
  const restoreOf = ({ restore }: { restore?: unknown }): unknown =>
    restore == null ? null : { ...Object(restore), failed: null };
  return Object.fromEntries(
    Object.entries(Object(bots)).map(([id, bot]) => [id, { ...Object(bot), restore: restoreOf(Object(bot)) }]),
  );
}

function withAll(records: unknown, more: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(Object(records)).map(([id, record]) => [id, { ...Object(record), ...more }]),
  );
}
