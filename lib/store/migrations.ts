import type { Document } from './patch.ts';

/** Turns a state of one schema into that of the next; pure. */
export type Migration = (old: Document) => Document;

/** By the schema a migration starts from. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map([
  // The same state. Its files are followed by journals, which a version that does not know them would leave out.
  [1, (state) => state],
]);
