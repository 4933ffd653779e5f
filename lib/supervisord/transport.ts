import { type Dispatcher, Pool } from 'undici';
import { BunkhouseError, type ErrorCode, messageOf } from '../domain/errors.ts';
import type { Endpoint } from './config.ts';
import { decodeResponse, encodeCall, type XmlRpcResponse, type XmlRpcValue } from './xmlrpc.ts';

export interface CallOptions {
  /** Longest silence before the answer, in milliseconds: DEADLINE after that. */
  readonly silenceMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The answer is held back on purpose: the call gets a connection of its own, so that it blocks nobody. */
  readonly deferred?: boolean;
}

/** Far above any answer (a log chunk is at most 256 KiB): a bound on what a broken container can make us read. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const CONNECT_MS = 5_000;
/** supervisord answers one call after the other, so more connections than this only queue elsewhere. */
const CONNECTIONS = 2;

/** XML-RPC calls to one supervisord, over its Unix socket or over HTTP with Basic authentication. */
export class XmlRpcTransport {
  readonly #prompt: Pool;
  readonly #deferred: Pool;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #where: string;

  constructor(endpoint: Endpoint) {
    const { origin, connect } = target(endpoint);
    const options = { connect, maxResponseSize: MAX_ANSWER_BYTES };
    this.#prompt = new Pool(origin, { ...options, connections: CONNECTIONS });
    this.#deferred = new Pool(origin, { ...options, connections: null });
    this.#headers = headers(endpoint);
    this.#where = endpoint.kind === 'unix' ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
  }

  /** The answer or the fault. Throws AGENT_UNAVAILABLE when there is no sensible answer, DEADLINE when it took too long. */
  async call(method: string, params: readonly XmlRpcValue[], options: CallOptions): Promise<XmlRpcResponse> {
    const body = encodeCall(method, params);
    const { status, text } = await this.#post(method, body, options);
    if (status === 401)
      throw this.#unavailable(method, 'refuses our user name or password: it was set up by somebody else');
    if (status !== 200) throw this.#unavailable(method, `answered with HTTP status ${status}`);
    try {
      return decodeResponse(text);
    } catch (error) {
      throw this.#unavailable(method, `gave an answer that is none: ${messageOf(error)}`);
    }
  }

  /** Ends all connections; calls under way fail with AGENT_UNAVAILABLE. */
  async close(): Promise<void> {
    await Promise.all([this.#prompt.destroy(), this.#deferred.destroy()]);
  }

  async #post(method: string, body: string, options: CallOptions): Promise<{ status: number; text: string }> {
    const request: Dispatcher.RequestOptions = {
      path: '/RPC2',
      method: 'POST',
      headers: this.#headers,
      body,
      headersTimeout: options.silenceMs,
      bodyTimeout: options.silenceMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    const pool = options.deferred === true ? this.#deferred : this.#prompt;
    try {
      const response = await pool.request(request);
      return { status: response.statusCode, text: await response.body.text() };
    } catch (error) {
      if (options.signal?.aborted) throw this.#unavailable(method, 'was not waited for: the call was aborted', error);
      if (isTimeout(error))
        throw this.#failure('DEADLINE', method, `did not answer within ${options.silenceMs} ms`, error);
      throw this.#unavailable(method, `cannot be reached (${messageOf(error)})`, error);
    }
  }

  #unavailable(method: string, what: string, cause?: unknown): BunkhouseError {
    return this.#failure('AGENT_UNAVAILABLE', method, what, cause);
  }

  #failure(code: ErrorCode, method: string, what: string, cause?: unknown): BunkhouseError {
    return new BunkhouseError(code, `supervisord at ${this.#where} ${what} (${method})`, { cause });
  }
}

function target(endpoint: Endpoint): { origin: string; connect: { socketPath?: string; timeout: number } } {
  if (endpoint.kind === 'unix') {
    return { origin: 'http://localhost', connect: { socketPath: endpoint.path, timeout: CONNECT_MS } };
  }
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return { origin: `http://${host}:${endpoint.port}`, connect: { timeout: CONNECT_MS } };
}

function headers(endpoint: Endpoint): Record<string, string> {
  const common = { 'content-type': 'text/xml', accept: 'text/xml' };
  if (endpoint.kind === 'unix') return common;
  const credentials = Buffer.from(`${endpoint.username}:${endpoint.password}`).toString('base64');
  return { ...common, authorization: `Basic ${credentials}` };
}

function isTimeout(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
}
