import type { DataFacts } from '../domain/migration.ts';

export interface DataQuestion {
  /** Of the database, in the archive. */
  readonly path: string;
  /** In SQL, each with one value as its answer. */
  readonly answers: Readonly<Record<string, string>>;
  /** Count the rows of these tables up to that row id. */
  readonly upTo: Readonly<Record<string, number>>;
}

export type Inspection =
  | { readonly kind: 'whole'; readonly facts: DataFacts; readonly upTo: Readonly<Record<string, number>> }
  /** SQLite does not find it whole, or it cannot be read as a database. */
  | { readonly kind: 'damaged'; readonly why: string }
  | { readonly kind: 'absent' };

/**
 * Looks into a SQLite database in a packed directory (tar.gz), its journals played back as its program would. What a bot made may
 * be made to harm whoever reads it, so that is done by a program of its own, without rights, on a copy.
 */
export interface DataInspector {
  /** Throws what the chunks throw, INVALID when they are no archive, DEADLINE when it takes too long. */
  inspect(archive: AsyncIterable<Uint8Array>, question: DataQuestion): Promise<Inspection>;
}
