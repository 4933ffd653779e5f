import { type Connection, Refusal } from './connection.ts';

/**
 * What the server does before it answers that a commit is kept, as a warning; null when it syncs every commit to its
 * disk first, as the file store does.
 */
export async function durabilityWarning(connection: Connection): Promise<string | null> {
  const appendonly = await setting(connection, 'appendonly');
  const appendfsync = await setting(connection, 'appendfsync');
  if (appendonly === null || appendfsync === null) {
    return 'the server does not tell how durable it is (CONFIG GET is refused): a commit may be lost when it fails';
  }
  if (appendonly !== 'yes') {
    return 'the server keeps no append-only file (appendonly no): a commit of the last minutes may be lost when it ends';
  }
  if (appendfsync === 'always') return null;
  const span = appendfsync === 'everysec' ? 'of the last two seconds' : 'of the last half minute';
  return `the server syncs its file now and then (appendfsync ${appendfsync}): a commit ${span} may be lost when its machine fails`;
}

// Private

/** Null: it may not be asked. */
async function setting(connection: Connection, name: string): Promise<string | null> {
  try {
    const [, value] = (await connection.ask('CONFIG', 'GET', name)) as [string?, string?];
    return value ?? null;
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}
