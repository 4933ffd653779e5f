import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import type { PoolApi } from '../services/pool-api.ts';
import type { Clock } from '../util/clock.ts';
import { type BotPath, type Passage, splitBotHost, splitBotPath } from './bot-path.ts';
import type { OtherAddresses } from './container-path.ts';
import { credentialOf, isSameOrigin, TOKEN_HEADER } from './credentials.ts';
import { createPatience } from './patience.ts';
import type { BotProxy } from './proxy.ts';

export type Refuse = (error: BunkhouseError) => void;

/** A caller let through to a bot; one of the two methods is called, once. */
export interface Visit {
  /** Null: somebody without a token, to a bot that is public. */
  readonly actor: Actor | null;
  /** For log and metrics. */
  readonly route: string;
  /** Throws BOT_UNAVAILABLE and NOT_FOUND as long as nothing was answered. A bot that is on its way back is waited for. */
  web(res: ServerResponse): Promise<void>;
  /** The same for a WebSocket. `refuse` is called at most once, while the socket can still take an answer. */
  upgrade(socket: Duplex, head: Buffer, refuse: Refuse): void;
}

export interface BotGateway {
  /**
   * Who is it, and what do they mean. Null: not a bot's address. Throws INVALID, UNAUTHORIZED, FORBIDDEN, NOT_FOUND.
   */
  admit(req: IncomingMessage): Visit | null;
  /** Ends what stays open by itself: WebSockets. */
  close(): void;
}

export interface GatewayOptions {
  readonly proxy: BotProxy;
  readonly actorOf: (token: string) => Actor | null;
  readonly api: Pick<PoolApi, 'route' | 'isPublic' | 'untilRouted' | 'isMoving'>;
  readonly clock: Clock;
  /** Bots are reached by host name below it; null: by path only. */
  readonly baseDomain: string | null;
  /** Addresses of bots under another name. */
  readonly otherAddresses?: OtherAddresses;
}

/** The way to the bots themselves, `/bots/:id/*` and `<id>.BASE_DOMAIN`, for whoever may see them. */
export function createBotGateway(options: GatewayOptions): BotGateway {
  const { proxy, actorOf, api, baseDomain, otherAddresses, clock } = options;
  const patience = createPatience(
    { untilRouted: (bot, signal) => api.untilRouted(bot, signal), isMoving: (bot) => api.isMoving(bot) },
    clock,
  );
  const addressed = ({ headers: { host = '' }, url = '' }: IncomingMessage): BotPath | null =>
    (baseDomain === null ? null : splitBotHost(host, url, baseDomain)) ?? splitBotPath(url);

  /** Who may go where, before it is known whether the bot can be reached. */
  function enter(req: IncomingMessage): (Pick<Visit, 'actor' | 'route'> & { readonly path: BotPath }) | null {
    const path = addressed(req);
    if (path !== null) return { route: '/bots/{id}/*', actor: isOpen(path, api) ? null : callerOf(req, actorOf), path };
    const other = otherAddresses?.(req) ?? null;
    if (other === null) return null;
    return { route: '/container/{id}/*', ...other.find(other.guest ?? callerOf(req, actorOf)) };
  }

  return {
    admit(req) {
      const entered = enter(req);
      if (entered === null) return null;
      const { actor, route, path } = entered;
      if (path.rest === null) return { actor, route, ...redirection(path) };
      const find = (): Passage => ({ path, target: api.route(actor, path.bot) });
      return {
        actor,
        route,
        web: (res) => patience.attempt(req, res, path.bot, async () => proxy.web(req, res, find())),
        upgrade: (socket, head, refuse) => {
          const work = async (): Promise<void> => proxy.upgrade(req, socket, head, find());
          patience.attempt(req, socket, path.bot, work).catch(refuse);
        },
      };
    },
    close: () => proxy.close(),
  };
}

/** By path, bots share an origin with the API and each other: nobody is let in there without a token. */
function isOpen({ bot, prefix }: BotPath, api: GatewayOptions['api']): boolean {
  return prefix === '' && api.isPublic(bot);
}

function callerOf(req: IncomingMessage, actorOf: GatewayOptions['actorOf']): Actor {
  const credential = credentialOf(req.headers);
  const actor = credential === null ? null : actorOf(credential.token);
  if (credential === null || actor === null) {
    throw new BunkhouseError(
      'UNAUTHORIZED',
      `A bot is reached with a token of Bunkhouse: send Authorization: Bearer, or ${TOKEN_HEADER} when the bot needs an Authorization of its own.`,
    );
  }
  if (credential.from === 'cookie' && !isHarmless(req) && !isSameOrigin(req.headers)) {
    throw new BunkhouseError(
      'FORBIDDEN',
      `Another site may have sent this request with your cookie. Send the token as ${TOKEN_HEADER} instead.`,
    );
  }
  return actor;
}

function isHarmless({ method, headers }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && headers.upgrade === undefined;
}

/** `/bots/ID` → `/bots/ID/`, against which the bot's relative links resolve. */
function redirection({ prefix, query }: BotPath): Pick<Visit, 'web' | 'upgrade'> {
  return {
    web: async (res) => {
      res.writeHead(308, { Location: `${prefix}/${query}` }).end();
    },
    upgrade: (_socket, _head, refuse) =>
      refuse(new BunkhouseError('INVALID', `Connect to ${prefix}/… and not to ${prefix} itself.`)),
  };
}
