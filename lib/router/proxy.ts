import { type Agent, type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import type { PoolApi } from '../services/pool-api.ts';
import type { Clock } from '../util/clock.ts';
import type { Passage } from './bot-path.ts';
import { requestHeaders, requestPath, responseHeaders } from './headers.ts';
import { Lines } from './lines.ts';
import type { Trusts } from './trust.ts';
import { passUpgrade } from './websocket.ts';

export interface BotProxy {
  /**
   * Streams the request to the bot and its answer back, until either side ends. Throws BOT_UNAVAILABLE when the bot
   * cannot be reached or be proven, as long as nothing was answered; later faults break the connection off.
   */
  web(req: IncomingMessage, res: ServerResponse, passage: Passage): Promise<void>;
  /** The same for a WebSocket; resolves when both ends are joined, or the bot's refusal was passed on. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, passage: Passage): Promise<void>;
  /** Ends the WebSockets that are open. */
  close(): void;
}

export interface ProxyOptions {
  readonly trusts: Trusts;
  readonly prove: PoolApi['prove'];
  readonly clock: Clock;
}

/** The cause when the bot had the request, and may have ended because of it. */
export class HungUp extends Error {}

/** The built-in proxy. Requests that can be sent again share connections; all others have one of their own. */
export function createBotProxy({ trusts, prove, clock }: ProxyOptions): BotProxy {
  const lines = new Lines(prove);
  const open = new Set<() => void>();

  const send = (req: IncomingMessage, passage: Passage, agent: Agent, more: object = {}): ClientRequest => {
    const { path, target } = passage;
    const headers = { ...requestHeaders(req, { target, path, trusts }), ...more };
    const { host, port } = target;
    return request({ host, port, method: req.method, path: requestPath(path.rest ?? '/', target), headers, agent });
  };

  /** False: the bot ended the idle connection just as it was taken, so it has not seen the request. */
  async function pass(req: IncomingMessage, res: ServerResponse, passage: Passage): Promise<boolean> {
    const repeatable = isRepeatable(req);
    const upstream = send(req, passage, repeatable ? lines.kept(passage) : lines.fresh(passage));
    try {
      await relay(await answerOf(req, res, upstream), res, passage, req.headers.host ?? '');
      return true;
    } catch (error) {
      if (res.destroyed) return true;
      if (repeatable && upstream.reusedSocket && !res.headersSent && isReset(error)) return false;
      throw unreachable(passage, failureOf(upstream, error));
    }
  }

  return {
    async web(req, res, passage) {
      while (!(await pass(req, res, passage)));
    },

    async upgrade(req, socket, head, passage) {
      const host = req.headers.host ?? '';
      const upstream = send(req, passage, lines.fresh(passage), { connection: 'Upgrade', upgrade: 'websocket' });
      const headersOf = (answer: IncomingMessage) => responseHeaders(answer.headers, { ...passage, host });
      try {
        await passUpgrade({ upstream, caller: socket as Socket, head, headersOf, open }, clock);
      } catch (error) {
        if (!socket.destroyed) throw unreachable(passage, failureOf(upstream, error));
      }
    },

    close() {
      lines.close();
      for (const end of [...open]) end();
    },
  };
}

/** Sends the body, if there is one, and resolves with the beginning of the answer. The caller's leaving ends it. */
function answerOf(req: IncomingMessage, res: ServerResponse, upstream: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const left = (): void => void upstream.destroy();
    res.once('close', left);
    upstream.once('response', resolve);
    upstream.on('error', reject);
    upstream.once('close', () => {
      res.removeListener('close', left);
      reject(new Error('it gave no answer'));
      // What is left of the body is nobody's, and the caller's next request comes after it.
      req.unpipe(upstream).resume();
    });
    if (hasBody(req)) req.pipe(upstream);
    else upstream.end();
  });
}

/** Resolves when the caller has the whole answer, or left. Throws as long as nothing was said to them. */
function relay(answer: IncomingMessage, res: ServerResponse, passage: Passage, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    res.once('close', resolve);
    // A bot that breaks off must not look as if it had said all.
    answer.on('error', () => res.destroy());
    try {
      res.writeHead(
        answer.statusCode ?? 502,
        answer.statusMessage,
        responseHeaders(answer.headers, { ...passage, host }),
      );
    } catch (error) {
      // A status or header that Node reads but refuses to write: a bot must not be able to end us with it.
      answer.destroy();
      reject(error);
      return;
    }
    answer.pipe(res);
    // Together with the first of the body if that is there already; otherwise they need not wait for it.
    setImmediate(() => res.flushHeaders());
  });
}

/** What may be sent twice without harm, and can be, for its body is not gone. */
export function isRepeatable(req: IncomingMessage): boolean {
  return (req.method === 'GET' || req.method === 'HEAD') && !hasBody(req);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** With whom it was connected has had the request. */
function failureOf(upstream: ClientRequest, error: unknown): unknown {
  return upstream.socket === null ? error : new HungUp(messageOf(error));
}

function isReset(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function unreachable({ path }: Passage, cause: unknown): BunkhouseError {
  if (hasCode(cause, 'BOT_UNAVAILABLE')) return cause;
  return new BunkhouseError(
    'BOT_UNAVAILABLE',
    `${path.bot} could not be reached: ${messageOf(cause)}. Try again soon.`,
    {
      cause,
      retryAfterSeconds: 2,
    },
  );
}
