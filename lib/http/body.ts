import type { IncomingMessage } from 'node:http';
import { BunkhouseError } from '../domain/errors.ts';
import { HttpError, InvalidRequest } from './problem.ts';

const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i;

/**
 * The request's body as JSON; `{}` when it has none. Stops reading as soon as it is over `maxBytes`. Throws TOO_LARGE,
 * UNSUPPORTED_MEDIA_TYPE, or INVALID for what is not UTF-8 or not JSON.
 */
export async function readJson(req: IncomingMessage, maxBytes: number): Promise<unknown> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const bytes = await readBytes(req, maxBytes);
  if (bytes.length === 0) return {};
  if (!JSON_TYPE.test(req.headers['content-type'] ?? '')) {
    throw new HttpError('UNSUPPORTED_MEDIA_TYPE', 'Send the body as JSON, with Content-Type: application/json.');
  }
  if (req.headers['content-encoding'] !== undefined) {
    throw new HttpError('UNSUPPORTED_MEDIA_TYPE', 'Send the body without Content-Encoding.');
  }
  return parse(bytes);
}

async function readBytes(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Says nothing of the content: a fault near a secret would otherwise quote it. */
function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new InvalidRequest([{ path: '', message: 'the body is not JSON in UTF-8' }], { cause });
  }
}

function tooLarge(maxBytes: number): BunkhouseError {
  return new BunkhouseError(
    'TOO_LARGE',
    `The body is larger than ${maxBytes} bytes (MAX_BODY_BYTES). Send less, or raise the limit.`,
    { details: { maxBytes } },
  );
}
