import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../domain/errors.ts';

/** Text of each file that a template names, or why it cannot be had, to follow `which `. */
export type FilesBeside = ReadonlyMap<string, { readonly text: string } | { readonly problem: string }>;

/** Reads files by their names relative to the folder of the template that names them. */
export async function readBeside(folder: string, names: readonly string[]): Promise<FilesBeside> {
  const read = await Promise.all(names.map(async (name) => [name, await readText(join(folder, name))] as const));
  return new Map(read);
}

// Private

async function readText(file: string): Promise<{ text: string } | { problem: string }> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const problem = missing
      ? 'is not beside the template; put it there or correct the name'
      : `cannot be read: ${messageOf(error)}`;
    return { problem };
  }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { problem: 'is not text in UTF-8' };
  }
}
