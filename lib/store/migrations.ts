import type { Document } from './patch.ts';

/** Turns a state of one schema into that of the next; pure. */
export type Migration = (old: Document) => Document;

/** By the schema a migration starts from. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map([
  // The same state. Its files are followed by journals, which a version that does not know them would leave out.
  [1, (state) => state],
  [2, addLeases],
  [3, addRestores],
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
