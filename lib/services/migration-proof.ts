import type { DataInspector, DataQuestion, Inspection } from '../backup/inspector.ts';
import type { DatabaseRule } from '../domain/discovery.ts';
import type { DataFacts } from '../domain/migration.ts';

/** What is asked of a database. `before`: rows that must still be there are counted. */
export function questionOf(path: string, rule: DatabaseRule | null, before: DataFacts | null = null): DataQuestion {
  const known = (rule?.tables ?? []).flatMap((table) => {
    const last = before?.tables[table]?.last ?? null;
    return last === null ? [] : [[table, last] as const];
  });
  return { path, answers: rule?.answers ?? {}, upTo: Object.fromEntries(known) };
}

/** Looks, unless there is no database to look at. */
export async function inspected(
  inspector: DataInspector,
  archive: AsyncIterable<Uint8Array>,
  path: string | null,
  rule: DatabaseRule | null,
  before: DataFacts | null = null,
): Promise<Inspection> {
  return path === null ? { kind: 'absent' } : inspector.inspect(archive, questionOf(path, rule, before));
}

/** Why data that nobody has worked with is not, row by row, what it was; null when it is. */
export function differenceOf(before: DataFacts | null, now: Inspection): string | null {
  if (before === null) return now.kind === 'absent' ? null : 'there is a database where none was';
  if (now.kind !== 'whole') return lostAs(now);
  const names = new Set([...Object.keys(before.tables), ...Object.keys(now.facts.tables)]);
  for (const name of names) {
    const [old, present] = [before.tables[name], now.facts.tables[name]];
    if (old?.sha256 === present?.sha256 && old?.rows === present?.rows) continue;
    return `table ${name} differs: it had ${old?.rows ?? 'no'} rows, and has ${present?.rows ?? 'none'}`;
  }
  return null;
}

/** What a bot that worked with its data has lost; null when every row it came with is there. */
export function lossOf(before: DataFacts | null, now: Inspection, rule: DatabaseRule | null): string | null {
  if (before === null) return null;
  if (now.kind !== 'whole') return lostAs(now);
  for (const table of rule?.tables ?? []) {
    const old = before.tables[table];
    if (old === undefined || old.last === null) continue;
    const left = now.upTo[table] ?? 0;
    if (left < old.rows) return `of ${old.rows} rows in ${table} only ${left} are left`;
  }
  return null;
}

/** What has changed since among what the template asks of it, a sentence each. */
export function changesOf(before: DataFacts | null, now: DataFacts | null): readonly string[] {
  return Object.entries(before?.answers ?? {})
    .filter(([name, value]) => now?.answers[name] !== value)
    .map(
      ([name, value]) => `${name} was ${value ?? 'none'} when it was stopped, and is ${now?.answers[name] ?? 'none'}`,
    );
}

// Private

function lostAs(now: Exclude<Inspection, { kind: 'whole' }>): string {
  return now.kind === 'absent' ? 'its database is not there' : `its database is damaged: ${now.why}`;
}
