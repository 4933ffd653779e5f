/** Turns the content of a state file of one schema into that of the next; pure. */
export type Migration = (old: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

/** By the schema a migration starts from. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map([[1, addLeases]]);

/** Schema 2 knows bots that are handed out on lease. */
function addLeases(old: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const bots = Object.entries(Object(old.bots)).map(([id, bot]) => [id, { ...Object(bot), reserve: null }]);
  return { ...old, bots: Object.fromEntries(bots), leases: {}, quotas: {} };
}
