/** Stable error codes: what a caller can act on. The HTTP layer maps each to one status. */
export type ErrorCode =
  | 'INVALID'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'UNKNOWN_LOCATION'
  | 'CONFLICT'
  | 'UNSUPPORTED'
  | 'TOO_LARGE'
  | 'RATE_LIMITED'
  | 'POOL_EXHAUSTED'
  | 'PORT_IN_USE'
  | 'STALE_GENERATION'
  | 'RESET_FAILED'
  | 'SERVICE_FAILED'
  | 'DRIVER_UNAVAILABLE'
  | 'AGENT_UNAVAILABLE'
  | 'STORE_CORRUPT'
  | 'STORE_UNAVAILABLE'
  | 'BOT_UNAVAILABLE'
  | 'DEADLINE'
  | 'INTERNAL';

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which trying again is sensible. */
  readonly retryAfterSeconds?: number;
  /** Facts for the caller, safe to show: never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The only error type that crosses a layer. Its message says what is wrong and what to do next. */
export class BunkhouseError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BunkhouseError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.details = options.details;
  }
}

export function hasCode(error: unknown, code: ErrorCode): error is BunkhouseError {
  return error instanceof BunkhouseError && error.code === code;
}

/** One line for logs and reasons, from whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
