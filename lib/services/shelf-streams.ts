import { createHash } from 'node:crypto';
import { BunkhouseError } from '../domain/errors.ts';

/** Passes chunks on, and throws STORE_UNAVAILABLE at their end when they are not what the sum is of. */
export async function* checked(chunks: AsyncIterable<Uint8Array>, sha256: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== sha256)
    throw new BunkhouseError('STORE_UNAVAILABLE', 'what arrived is not what was packed (SHA-256 differs)');
}

/** The same on the way out: INVALID at their end when they are not what was kept. A sum of null is not known. */
export async function* checkedOut(
  id: string,
  chunks: AsyncIterable<Uint8Array>,
  sha256: string | null,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    length += chunk.length;
    yield chunk;
  }
  if (length === bytes && (sha256 === null || hash.digest('hex') === sha256)) return;
  throw new BunkhouseError('INVALID', `${id} is damaged: it is not what was kept (SHA-256 or length differs)`);
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const chunk of chunks) pieces.push(chunk);
  return Buffer.concat(pieces);
}
