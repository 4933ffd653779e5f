import { Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ProxyServer } from 'httpxy';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { RouteTarget } from '../services/pool-api.ts';
import type { BotPath } from './bot-path.ts';
import { requestHeaders, requestPath, responseHeaders } from './headers.ts';
import type { Trusts } from './trust.ts';

/** One request on its way to a bot that was just proven to be there. */
export interface Passage {
  readonly path: BotPath;
  readonly target: RouteTarget;
}

export interface BotProxy {
  /**
   * Streams the request to the bot and its answer back, until either side ends. Throws BOT_UNAVAILABLE when the bot
   * cannot be reached, as long as nothing was answered; later faults break the connection off.
   */
  web(req: IncomingMessage, res: ServerResponse, passage: Passage): Promise<void>;
  /** The same for a WebSocket. `refuse` is called at most once, while the socket can still take an answer. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, passage: Passage & { refuse: Refuse }): void;
  /** Ends the WebSockets that are open. */
  close(): void;
}

export interface ProxyOptions {
  readonly trusts: Trusts;
}

export type Refuse = (error: BunkhouseError) => void;

interface Exchange extends Passage {
  readonly host: string;
  readonly fail: (error: Error) => void;
}

/** A bot that takes a WebSocket's connection but does not answer is given up after this. */
const UPGRADE_TIMEOUT_MS = 30_000;

/**
 * The built-in proxy. Each request has a connection of its own to the bot: over loopback that costs little, and a bot
 * that closes idle ones can then never race with a request.
 */
export function createBotProxy({ trusts }: ProxyOptions): BotProxy {
  const server = new ProxyServer();
  // Asked to keep the connection, a bot that answers before the body is through does not slam it shut over its answer.
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 0 });
  const exchanges = new WeakMap<IncomingMessage, Exchange>();
  const open = new Set<Duplex>();

  server.on('error', (error, req) => req && exchanges.get(req)?.fail(error));
  server.on('proxyReq', (upstream, req, res) => {
    upstream.once('close', () => {
      if (!res.headersSent) exchanges.get(req)?.fail(new Error('it gave no answer'));
    });
  });
  server.on('proxyRes', (answer, req, res) => {
    const exchange = exchanges.get(req);
    if (exchange === undefined || res.headersSent) return;
    try {
      res.writeHead(answer.statusCode ?? 502, answer.statusMessage, responseHeaders(answer.headers, exchange));
    } catch (error) {
      // A status or header that Node reads but refuses to write: a bot must not be able to end us with it.
      exchange.fail(error as Error);
      answer.destroy();
      return;
    }
    res.flushHeaders();
    answer.pipe(res);
  });
  server.on('proxyReqWs', (upstream, req, socket) => {
    const exchange = exchanges.get(req);
    upstream.prependListener('upgrade', (answer, bot) => {
      if (exchange) keepSwitching(answer, exchange);
      join(socket, bot, open);
    });
  });

  /** Turns the request into the one for the bot. httpxy passes on what it finds in it. */
  function prepare(req: IncomingMessage, passage: Passage, fail: Exchange['fail']): void {
    exchanges.set(req, { ...passage, host: req.headers.host ?? '', fail });
    const { path, target } = passage;
    req.headers = requestHeaders(req, { target, path, trusts });
    req.url = requestPath(path.rest ?? '/', target);
  }

  return {
    web: (req, res, passage) =>
      new Promise((resolve, reject) => {
        res.once('close', resolve);
        prepare(req, passage, (error) => {
          if (res.headersSent) res.destroy();
          else reject(unreachable(passage, error));
        });
        const options = { target: addressOf(passage.target), agent, selfHandleResponse: true };
        server.web(req, res, options).catch(reject);
      }),

    upgrade(req, socket, head, { refuse, ...passage }) {
      prepare(req, passage, (error) => refuse(unreachable(passage, error)));
      req.headers.connection = 'Upgrade';
      req.headers.upgrade = 'websocket';
      const options = { target: addressOf(passage.target), agent: false, upgradeTimeout: UPGRADE_TIMEOUT_MS };
      server.ws(req, socket as Socket, options, head).catch((error) => refuse(unreachable(passage, error)));
    },

    close() {
      for (const socket of open) socket.destroy();
    },
  };
}

const addressOf = ({ host, port }: RouteTarget) => ({ protocol: 'http:', host, port });

function unreachable({ path }: Passage, cause: unknown): BunkhouseError {
  return new BunkhouseError(
    'BOT_UNAVAILABLE',
    `${path.bot} could not be reached: ${messageOf(cause)}. Try again soon.`,
    {
      cause,
      retryAfterSeconds: 2,
    },
  );
}

/** The bot's 101 goes on as it is, but for its cookies. */
function keepSwitching(answer: IncomingMessage, exchange: Exchange): void {
  const { connection, upgrade } = answer.headers;
  answer.headers = { ...responseHeaders(answer.headers, exchange), connection, upgrade };
}

/** When one end is gone, so is the other: piping alone passes on a proper end only. */
function join(caller: Socket, bot: Duplex, open: Set<Duplex>): void {
  open.add(caller);
  caller.once('close', () => {
    open.delete(caller);
    bot.destroy();
  });
  bot.once('close', () => caller.destroySoon());
}
