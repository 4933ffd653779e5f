/** Turns the content of a state file of one schema into that of the next; pure. */
export type Migration = (old: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

/** By the schema a migration starts from. Schema 1 is the first there is, so nothing has to be brought forward yet. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map();
