import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../domain/errors.ts';
import { CONTAINER_NAME } from '../../domain/ids.ts';
import { writeDurably } from '../../util/durable-write.ts';
import { type Labelled, type Labels, readLabels } from '../labels.ts';
import { containersDirectory, type Layout } from './layout.ts';

/** What a container's directory says it is. `broken`: there is something, but who it belongs to cannot be read. */
export type Registration =
  | { readonly kind: 'labelled'; readonly labelled: Labelled }
  | { readonly kind: 'broken'; readonly reason: string }
  | { readonly kind: 'absent' };

const LABELS_FILE = 'container.json';
const labelsFile = z.object({ labels: z.record(z.string(), z.string()) });

/** All directories that can be containers'. Complete, or it throws. */
export async function directoryNames(dataDir: string): Promise<readonly string[]> {
  const entries = await orIf('ENOENT', readdir(containersDirectory(dataDir), { withFileTypes: true }), []);
  return entries.filter((entry) => entry.isDirectory() && CONTAINER_NAME.test(entry.name)).map((entry) => entry.name);
}

export async function readRegistration(directory: string, name: string): Promise<Registration> {
  const path = join(directory, LABELS_FILE);
  try {
    const text = await orIf('ENOENT', readFile(path, 'utf8'), null);
    if (text === null) return await withoutLabels(directory);
    const labelled = readLabels(labelsFile.parse(JSON.parse(text)).labels);
    if (typeof labelled === 'string') return broken(path, labelled);
    if (labelled.name !== name)
      return broken(path, `it belongs to ${labelled.name}: the directory was renamed or copied`);
    return { kind: 'labelled', labelled };
  } catch (error) {
    return broken(
      path,
      error instanceof SyntaxError || error instanceof z.ZodError ? 'it is damaged' : messageOf(error),
    );
  }
}

/** Makes the directory if need be and says whose it is. The labels are durable before anything is started in it. */
export async function register(layout: Layout, labels: Labels): Promise<void> {
  await orIf('EEXIST', mkdir(layout.directory, { mode: 0o700 }), undefined);
  await writeDurably(layout.labels, `${JSON.stringify({ labels }, null, 2)}\n`);
}

/** Deletes the directory, its labels last: broken off anywhere, it is still known as ours and removed by the next call. */
export async function unregister(layout: Layout): Promise<void> {
  const names = await orIf('ENOENT', readdir(layout.directory), []);
  for (const name of names) {
    if (name !== LABELS_FILE) await rm(join(layout.directory, name), { recursive: true, force: true });
  }
  await rm(layout.labels, { force: true });
  await orIf('ENOENT', rmdir(layout.directory), undefined);
}

/** A creation or removal that was broken off leaves a directory with nothing in it: as good as absent. */
async function withoutLabels(directory: string): Promise<Registration> {
  const names = await orIf('ENOENT', readdir(directory), []);
  const left = names.filter((name) => !name.startsWith(`${LABELS_FILE}.tmp-`));
  if (left.length === 0) return { kind: 'absent' };
  return broken(join(directory, LABELS_FILE), `it is missing beside ${left.slice(0, 3).join(', ')}`);
}

function broken(path: string, why: string): Registration {
  return { kind: 'broken', reason: `${path}: ${why}; restore it from a backup, or move the directory away` };
}

/** What the work resolves to, or the other value where it fails with that system error. */
async function orIf<T, O>(code: string, work: Promise<T>, other: O): Promise<T | O> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === code) return other;
    throw error;
  }
}
