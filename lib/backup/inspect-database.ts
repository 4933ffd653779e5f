/**
 * A program of its own: looks into one SQLite database and prints what it found as JSON. Started by sqlite-inspector.ts with
 * nothing but the folder of that database in reach. Imports nothing of ours, because only its source is handed over.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

export interface Looked {
  readonly bytes: number;
  readonly tables: Record<string, { rows: number; last: number | null; sha256: string }>;
  readonly answers: Record<string, string | null>;
  readonly upTo: Record<string, number>;
}

export interface Order {
  readonly file: string;
  readonly answers: Readonly<Record<string, string>>;
  readonly upTo: Readonly<Record<string, number>>;
}

/** Throws when the database is not whole. */
export function lookInto({ file, answers, upTo }: Order): Looked {
  const database = new DatabaseSync(file, { allowExtension: false });
  try {
    database.exec('PRAGMA trusted_schema = OFF');
    checkWhole(database);
    database.exec('PRAGMA query_only = ON');
    return {
      tables: Object.fromEntries(tablesOf(database).map((table) => [table, factsOf(database, table)])),
      answers: Object.fromEntries(Object.entries(answers).map(([name, sql]) => [name, answerTo(database, sql)])),
      upTo: Object.fromEntries(Object.entries(upTo).map(([table, last]) => [table, countUpTo(database, table, last)])),
      bytes: statSync(file).size,
    };
  } finally {
    database.close();
  }
}

function checkWhole(database: DatabaseSync): void {
  try {
    const { integrity_check: found } = database.prepare('PRAGMA integrity_check(1)').get() ?? {};
    if (found !== 'ok') throw new Error(String(found));
  } catch (error) {
    // A function or collation that only the bot's program brings is no damage.
    if (!/^(no such|unknown tokenizer)/.test(error instanceof Error ? error.message : '')) throw error;
  }
}

function tablesOf(database: DatabaseSync): string[] {
  const found = database
    .prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .all();
  return found.map(({ name }) => String(name));
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Tables without row ids are read in the order of their keys. */
function factsOf(database: DatabaseSync, table: string): { rows: number; last: number | null; sha256: string } {
  const hash = createHash('sha256');
  const last = lastRow(database, table);
  const order = last === undefined ? '' : ' ORDER BY rowid';
  const statement = database.prepare(`SELECT * FROM ${quoted(table)}${order}`);
  statement.setReadBigInts(true);
  let rows = 0;
  for (const row of statement.iterate()) {
    rows += 1;
    hash.update(`${JSON.stringify(Object.entries(row), plain)}\n`);
  }
  return { rows, last: last ?? null, sha256: hash.digest('hex') };
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`;
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

/** Undefined: a table without row ids. */
function lastRow(database: DatabaseSync, table: string): number | null | undefined {
  try {
    const { last } = database.prepare(`SELECT max(rowid) AS last FROM ${quoted(table)}`).get() ?? {};
    return last === null || last === undefined ? null : Number(last);
  } catch {
    return undefined;
  }
}

function countUpTo(database: DatabaseSync, table: string, last: number): number {
  try {
    const { rows } = database.prepare(`SELECT count(*) AS rows FROM ${quoted(table)} WHERE rowid <= ?`).get(last) ?? {};
    return Number(rows);
  } catch {
    return 0;
  }
}

/** Null too where the question does not fit the database: an older one may lack the table. */
function answerTo(database: DatabaseSync, sql: string): string | null {
  try {
    const [value] = Object.values(database.prepare(sql).get() ?? {});
    return value === null || value === undefined ? null : String(value);
  } catch {
    return null;
  }
}

/** What the program does: its last argument is the order. */
export function main(order: string): void {
  try {
    process.stdout.write(JSON.stringify({ found: lookInto(JSON.parse(order)) }));
  } catch (error) {
    process.stdout.write(JSON.stringify({ damage: error instanceof Error ? error.message : String(error) }));
  }
}
