import { readFile, rename } from 'node:fs/promises';
import type { z } from 'zod';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { type Clock, isoTime } from '../util/clock.ts';
import { writeDurably } from '../util/durable-write.ts';
import type { Logger } from '../util/logger.ts';

export interface JsonFileOptions {
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The content of a file that the supervisor can do without; null when there is none, or none that fits the schema: that
 * one is moved aside. Throws STORE_UNAVAILABLE when it cannot be read.
 */
export async function readJson<T>(path: string, schema: z.ZodType<T>, options: JsonFileOptions): Promise<T | null> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    await moveAside(path, error, options);
    return null;
  }
}

/** Durable when it resolves. Throws STORE_UNAVAILABLE; the file is then as it was. */
export async function writeJson(path: string, content: unknown): Promise<void> {
  await orUnavailable(`${path} cannot be written`, writeDurably(path, JSON.stringify(content)));
}

/** What the work resolves to; throws STORE_UNAVAILABLE with the system's reason. */
export async function orUnavailable<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new BunkhouseError('STORE_UNAVAILABLE', `${what}: ${messageOf(error)}`, { cause: error });
  }
}

// Private

async function readText(path: string): Promise<string | null> {
  const read = readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return orUnavailable(`${path} cannot be read`, read);
}

async function moveAside(path: string, error: unknown, { clock, log }: JsonFileOptions): Promise<void> {
  const aside = `${path}.damaged-${isoTime(clock.now())}`;
  await orUnavailable(`${path} is damaged and cannot be moved aside`, rename(path, aside));
  log.error(
    { path, aside, reason: messageOf(error) },
    `${path} is damaged: it was moved to ${aside} and is not counted`,
  );
}
