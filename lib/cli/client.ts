import { randomUUID } from 'node:crypto';
import { messageOf } from '../domain/errors.ts';
import { EXIT } from './exit-codes.ts';
import { CliFailure, failureOf, type Problem } from './failure.ts';
import { type ServerEvent, serverEvents } from './sse.ts';

/** An answer, read and as it came. */
export interface Reply<T> {
  readonly json: T;
  readonly text: string;
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export interface Call {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** The answer holds a secret: the API does not keep it, so the call is never repeated. */
  readonly once?: true;
}

/** The HTTP API. Every method throws CliFailure. */
export interface Client {
  address(): string;
  call<T>(method: Method, path: string, call?: Call): Promise<Reply<T>>;
  /** An answer that is no JSON, as it came. */
  text(path: string, query: NonNullable<Call['query']>): Promise<string>;
  /** Events until the stream or the signal ends it; a `problem` event is thrown. */
  stream(
    path: string,
    options: { readonly lastEventId: string; readonly signal: AbortSignal },
  ): AsyncGenerator<ServerEvent>;
}

export interface ClientOptions {
  /** Both are read when the first call needs them, so that commands without a call do not ask for them. */
  readonly url: () => string;
  readonly token: () => string | null;
}

/** Long enough for a sweep over thousands of bots. */
const TIMEOUT_MS = 120_000;

export function createClient({ url, token }: ClientOptions): Client {
  const address = (): string => baseOf(url());
  const request = async (path: string, init: RequestInit & { headers: Record<string, string> }): Promise<Response> => {
    const base = address();
    const bearer = token();
    const headers = { ...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }), ...init.headers };
    try {
      return await fetch(base + path, { ...init, headers, redirect: 'error' });
    } catch (error) {
      throw unreachable(base, error);
    }
  };
  const sendOnceMore = (method: Method, path: string, call: Call): Promise<Response> => {
    const init = initOf(method, call);
    const send = (): Promise<Response> =>
      request(path + queryOf(call.query), { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    return send().catch((error: unknown) => {
      if (!lostAnswer(error) || call.once) throw error;
      return send();
    });
  };
  return {
    address,
    async call<T>(method: Method, path: string, call: Call = {}) {
      return read<T>(await sendOnceMore(method, path, call), address());
    },
    async text(path, query) {
      const response = await sendOnceMore('GET', path, { query });
      if (!response.ok) throw await problemOf(response, address());
      return bodyOf(response, address());
    },
    async *stream(path, { lastEventId, signal }) {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (lastEventId !== '') headers['Last-Event-ID'] = lastEventId;
      const response = await request(path, { headers, signal });
      if (!response.ok || response.body === null) throw await problemOf(response, address());
      for await (const event of serverEvents(response.body)) {
        if (event.event === 'problem') throw failureOf(JSON.parse(event.data) as Problem, event.data);
        yield event;
      }
    },
  };
}

// Private

/** A change carries a key of its own, so that sending it again after a lost answer does it once. */
function initOf(method: Method, { body, once }: Call): RequestInit & { headers: Record<string, string> } {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && !once) headers['Idempotency-Key'] = randomUUID();
  return { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
}

function queryOf(query: Call['query'] = {}): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

async function read<T>(response: Response, base: string): Promise<Reply<T>> {
  if (!response.ok) throw await problemOf(response, base);
  const text = await bodyOf(response, base);
  try {
    return { json: JSON.parse(text) as T, text };
  } catch (cause) {
    throw notBunkhouse(base, cause);
  }
}

async function problemOf(response: Response, base: string): Promise<CliFailure> {
  const text = await bodyOf(response, base);
  try {
    const problem = JSON.parse(text) as Partial<Problem>;
    if (typeof problem.code === 'string' && typeof problem.detail === 'string') {
      return failureOf({ code: problem.code, detail: problem.detail }, text);
    }
  } catch {
    // Not JSON: not ours.
  }
  return notBunkhouse(base, new Error(`HTTP ${response.status}`));
}

const bodyOf = (response: Response, base: string): Promise<string> =>
  response.text().catch((error: unknown) => {
    throw unreachable(base, error);
  });

function notBunkhouse(base: string, cause: unknown): CliFailure {
  return new CliFailure(EXIT.failed, `What answers at ${base} is not a Bunkhouse supervisor.`, {
    next: 'Give the right address with --url or in BUNKHOUSE_URL.',
    cause,
  });
}

function unreachable(base: string, error: unknown): CliFailure {
  if (error instanceof CliFailure) return error;
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new CliFailure(EXIT.timedOut, `${base} did not answer within ${TIMEOUT_MS / 1000} s.`, { cause: error });
  }
  const reason = messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
  return new CliFailure(EXIT.unavailable, `No supervisor answers at ${base}: ${reason || 'connection failed'}.`, {
    next: 'Start it with `scripts/up` or `bunkhouse serve`, or give its address with --url or in BUNKHOUSE_URL.',
    cause: error,
  });
}

/** The connection broke after it had been made: whether the change was done is not known. */
function lostAnswer(error: unknown): boolean {
  const code = (error as { cause?: { cause?: { code?: unknown } } }).cause?.cause?.code;
  return code === 'ECONNRESET' || code === 'UND_ERR_SOCKET' || code === 'EPIPE';
}

function baseOf(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw new CliFailure(EXIT.usage, `${JSON.stringify(url)} is not an address of a supervisor.`, {
      next: 'It looks like http://127.0.0.1:4000 (--url or BUNKHOUSE_URL).',
    });
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, '');
}
