import { STATUS_CODES } from 'node:http';
import * as z from 'zod';
import { BunkhouseError, type ErrorCode, type ErrorOptions } from '../domain/errors.ts';

/** Codes of faults that exist only in HTTP. */
export type HttpCode = ErrorCode | 'METHOD_NOT_ALLOWED' | 'UNSUPPORTED_MEDIA_TYPE';

/** The one map from error code to status. */
export const STATUS: Readonly<Record<HttpCode, number>> = {
  INVALID: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  PORT_IN_USE: 409,
  STALE_GENERATION: 409,
  RESET_FAILED: 502,
  SERVICE_FAILED: 502,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  UNKNOWN_LOCATION: 422,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  UNSUPPORTED: 501,
  POOL_EXHAUSTED: 503,
  BOT_UNAVAILABLE: 503,
  DRIVER_UNAVAILABLE: 503,
  AGENT_UNAVAILABLE: 503,
  STORE_CORRUPT: 503,
  STORE_UNAVAILABLE: 503,
  DEADLINE: 504,
};

/** RFC 9457 problem document. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'URN made from the code', example: 'urn:bunkhouse:problem:not-found' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong and what to do next' }),
    code: z.enum(Object.keys(STATUS) as [HttpCode, ...HttpCode[]]).meta({ description: 'Stable: act on this' }),
    instance: z.string().meta({ description: 'Names this one occurrence; also in the log of the server' }),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Every fault of the request, by field' }),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Problem' });

export type Problem = z.infer<typeof problemSchema>;
export type Fault = NonNullable<Problem['errors']>[number];

/** A fault that only HTTP knows: wrong method, wrong content type. */
export class HttpError extends Error {
  readonly code: HttpCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: HttpCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** A request that does not fit its schema, with every fault in it. */
export class InvalidRequest extends BunkhouseError {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[], options: ErrorOptions = {}) {
    super('INVALID', `The request is not valid: ${faults.map(sentence).join('; ')}.`, options);
    this.faults = faults;
  }
}

export interface ProblemReply {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
}

/** The answer to whatever was thrown. What is not one of our errors is INTERNAL and tells the caller nothing else. */
export function problemOf(error: unknown, requestId: string): ProblemReply {
  const code = error instanceof BunkhouseError || error instanceof HttpError ? error.code : 'INTERNAL';
  const detail =
    code === 'INTERNAL' ? 'Something went wrong inside; the log has it by this instance.' : (error as Error).message;
  const problem: Problem = {
    type: `urn:bunkhouse:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: STATUS_CODES[STATUS[code]] ?? code,
    status: STATUS[code],
    detail,
    code,
    instance: `urn:uuid:${requestId}`,
    ...(error instanceof InvalidRequest ? { errors: [...error.faults] } : {}),
    ...(code !== 'INTERNAL' && error instanceof BunkhouseError && error.details ? { details: error.details } : {}),
  };
  return { problem, headers: headersOf(error, code) };
}

function headersOf(error: unknown, code: HttpCode): Record<string, string> {
  const headers: Record<string, string> = { 'Content-Type': 'application/problem+json' };
  if (code === 'UNAUTHORIZED') headers['WWW-Authenticate'] = 'Bearer realm="bunkhouse"';
  if (error instanceof HttpError) Object.assign(headers, error.headers);
  const retryAfter = error instanceof BunkhouseError ? error.retryAfterSeconds : undefined;
  if (retryAfter !== undefined) headers['Retry-After'] = String(Math.max(1, Math.ceil(retryAfter)));
  return headers;
}

const sentence = ({ path, message }: Fault): string => (path === '' ? message : `${path}: ${message}`);
