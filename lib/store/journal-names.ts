import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A journal goes by the number of the commit it goes on from, so that names sort as the journals follow each other. */
export function journalPath(path: string, after: number): string {
  return `${path}.journal-${String(after).padStart(12, '0')}`;
}

/** Paths of the journals of a state file, oldest first. */
export async function listJournals(path: string): Promise<string[]> {
  const beginning = `${basename(path)}.journal-`;
  const names = await readdir(dirname(path));
  return names
    .filter((name) => name.startsWith(beginning) && /^\d{12}$/.test(name.slice(beginning.length)))
    .sort()
    .map((name) => join(dirname(path), name));
}
