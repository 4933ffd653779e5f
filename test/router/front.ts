import { createServer, type IncomingMessage, type RequestListener, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { createBotGateway } from '../../lib/router/gateway.ts';
import { createBotProxy } from '../../lib/router/proxy.ts';
import { createTrust } from '../../lib/router/trust.ts';
import type { PoolApi, RouteTarget } from '../../lib/services/pool-api.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';

/** Starts the server on a free port of loopback; it and its connections end with the test. */
export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return (server.address() as AddressInfo).port;
}

export const upstream = (listener: RequestListener): Promise<number> => listen(createServer(listener));

/** A bot that answers with what it saw. */
export const mirror = () =>
  upstream(async (req, res) => {
    let body = '';
    for await (const chunk of req.setEncoding('utf8')) body += chunk;
    const seen = { method: req.method, url: req.url, headers: req.headers, body };
    res.setHeader('content-type', 'application/json').end(JSON.stringify(seen));
  });

export const BASE = 'bots.test';

interface FrontOptions extends Partial<RouteTarget> {
  /** Whether anybody may visit the bot by its host name. */
  readonly isPublic?: boolean;
  readonly trusted?: readonly string[];
  /** Left out: it is always the bot who listens. */
  readonly prove?: PoolApi['prove'];
  /** Left out: a bot that is away does not come back. */
  readonly untilRouted?: PoolApi['untilRouted'];
  /** Takes a way to end what is connected. */
  readonly ends?: (() => void)[];
}

/** A server with nothing but the gateway, for one bot `b` that listens on `port`. Tokens: `bh_good`. */
export async function front(port: number, options: FrontOptions = {}): Promise<number> {
  const {
    isPublic = false,
    trusted = ['127.0.0.1'],
    prove = async () => {},
    untilRouted = async () => false,
  } = options;
  const gateway = createBotGateway({
    proxy: createBotProxy({ trusts: createTrust(trusted), prove, clock }),
    actorOf: (token) => (token === 'bh_good' ? { role: 'admin' } : null),
    baseDomain: BASE,
    clock,
    api: {
      untilRouted,
      isMoving: () => false,
      isPublic: (id) => isPublic && id === 'b',
      route: (_actor, id) => {
        if (id !== 'b') throw new BunkhouseError('NOT_FOUND', `there is no bot ${id}`);
        return { host: '127.0.0.1', port, life: 'first', location: 'here', headers: {}, query: {}, ...options };
      },
    },
  });
  const server = createServer(async (req, res) => {
    try {
      const visit = gateway.admit(req);
      if (visit === null) res.writeHead(299).end('the API');
      else await visit.web(res);
    } catch (error) {
      res.writeHead(599).end((error as BunkhouseError).code);
    }
  });
  server.on('upgrade', (req, socket, head) => {
    const refuse = (error: unknown): void => {
      socket.end(`HTTP/1.1 599 Refused\r\nX-Code: ${(error as BunkhouseError).code}\r\n\r\n`);
    };
    try {
      gateway.admit(req)?.upgrade(socket, head, refuse);
    } catch (error) {
      refuse(error);
    }
  });
  options.ends?.push(() => gateway.close());
  onTestFinished(() => gateway.close());
  return listen(server);
}

/** One of the two ways to the same bot: `/bots/b/x` on any host name, and `/x` on its own. */
export interface Way {
  readonly name: 'path' | 'host name';
  /** Of a path of the bot. */
  readonly at: (path: string) => string;
  readonly host: (port: number) => string;
}

export const WAYS: readonly Way[] = [
  { name: 'path', at: (path) => `/bots/b${path}`, host: (port) => `127.0.0.1:${port}` },
  { name: 'host name', at: (path) => path, host: (port) => `b.${BASE}:${port}` },
];

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** One request, sent as it is: `fetch` would tidy up paths and refuse headers. Authorized unless headers say otherwise. */
export function send(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = { authorization: 'Bearer bh_good' }, body } = options;
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
      const text = res.setEncoding('utf8').reduce((all, chunk) => all + chunk, '');
      text.then((body) => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }), reject);
    });
    req.on('error', reject);
    req.end(body);
  });
}
