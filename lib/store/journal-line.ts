import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Patch } from './patch.ts';

/**
 * A place in the chain of commits. The hash covers every commit since the installation began, so two states are the same,
 * and a journal goes on from a state, exactly when their positions are equal.
 */
export interface Position {
  /** Number of the last commit. */
  readonly sequence: number;
  readonly hash: string;
}

export interface JournalHeader extends Position {
  readonly installation: string;
}

/** Where an installation's chain begins. */
export function firstPosition(installation: string): Position {
  return { sequence: 0, hash: hashOf('', installation) };
}

/** First line of a journal: where it goes on from. */
export function headerLine({ installation, sequence, hash }: JournalHeader): string {
  return seal('', { installation, sequence, hash }).line;
}

/** The line of the commit after `position`, and where it leads. A line is one commit: it is there as a whole or not at all. */
export function commitLine(position: Position, patch: Patch): { readonly line: string; readonly position: Position } {
  const sequence = position.sequence + 1;
  const { line, hash } = seal(position.hash, { sequence, ...patch });
  return { line, position: { sequence, hash } };
}

/** Null for a line that is not a whole header. */
export function readHeader(line: string): JournalHeader | null {
  return unseal('', line, headerSchema)?.value ?? null;
}

/** The commit after `position`. Null for a line that is damaged, or is not the one that follows. */
export function readCommit(
  position: Position,
  line: string,
): { readonly patch: Patch; readonly position: Position } | null {
  const read = unseal(position.hash, line, commitSchema);
  if (read === null || read.value.sequence !== position.sequence + 1) return null;
  const { sequence, ...patch } = read.value;
  return { patch, position: { sequence, hash: read.hash } };
}

// Private

const count = z.int().min(0);
const headerSchema = z.strictObject({ installation: z.string().min(1), sequence: count, hash: z.string() });
const commitSchema = z.strictObject({
  sequence: count,
  set: z.record(z.string(), z.union([z.string(), z.number()])),
  put: z.record(z.string(), z.record(z.string(), z.looseObject({}))),
  drop: z.record(z.string(), z.array(z.string())),
});

function seal(before: string, value: object): { readonly line: string; readonly hash: string } {
  const json = JSON.stringify(value);
  const hash = hashOf(before, json);
  return { line: `${hash} ${json}\n`, hash };
}

function unseal<T>(
  before: string,
  line: string,
  schema: z.ZodType<T>,
): { readonly value: T; readonly hash: string } | null {
  const [hash = '', json = ''] = [line.slice(0, HASH_LENGTH), line.slice(HASH_LENGTH + 1)];
  if (hash !== hashOf(before, json)) return null;
  const parsed = schema.safeParse(JSON.parse(json));
  return parsed.success ? { value: parsed.data, hash } : null;
}

const HASH_LENGTH = 32;

/** Against damage and mix-ups, not against forgers: half of a SHA-256 is plenty. */
function hashOf(before: string, text: string): string {
  return createHash('sha256').update(before).update(text).digest('hex').slice(0, HASH_LENGTH);
}
