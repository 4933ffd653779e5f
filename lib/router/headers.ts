import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { RouteTarget } from '../services/pool-api.ts';
import { FORWARDED } from '../util/forwarded.ts';
import type { BotPath } from './bot-path.ts';
import { TOKEN_COOKIE, withoutCredentials } from './credentials.ts';
import type { Trusts } from './trust.ts';

/** Headers of one connection, not of the message (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'upgrade',
]);

/** Never dropped for being named by Connection: without them the other side would see another end of the message, or another host. */
const FRAMING = new Set(['content-length', 'transfer-encoding', 'host']);

/** Node has answered `100 Continue` by itself already. */
const isAnswered = (name: string): boolean => name === 'expect';

/** Where a request came from is believed from a front of ours only, because bots go by it. */
const isAnsweredOrClaimed = (name: string): boolean => isAnswered(name) || FORWARDED.test(name);

/** Node frames the answer itself; and no bot is to end the sessions of others, which a browser takes for the same site. */
const isNotPassedOn = (name: string): boolean => name === 'transfer-encoding' || name === 'clear-site-data';

/** Would let one bot's page put itself between the browser and all other bots of this origin. */
const isNotPassedOnByPath = (name: string): boolean => isNotPassedOn(name) || name === 'service-worker-allowed';

/**
 * What the bot gets to see: without our credentials and hop-by-hop headers, with the target's own headers (an
 * Authorization of the caller's for the bot itself wins) and X-Forwarded-*.
 */
export function requestHeaders(
  req: IncomingMessage,
  { target, path, trusts }: { readonly target: RouteTarget; readonly path: BotPath; readonly trusts: Trusts },
): IncomingHttpHeaders {
  const believed = trusts(req.socket.remoteAddress);
  const headers = endToEnd(withoutCredentials(req.headers), believed ? isAnswered : isAnsweredOrClaimed);
  const { authorization } = headers;
  Object.assign(headers, forwarded(req, path, believed));
  for (const name in target.headers) headers[name.toLowerCase()] = target.headers[name];
  if (authorization !== undefined) headers.authorization = authorization;
  for (const name in headers) if (isLookalike(name, headers)) delete headers[name];
  return headers;
}

/** CGI, WSGI and PHP take `X_Forwarded_For` for `X-Forwarded-For`: what we say ourselves must not be said beside us. */
function isLookalike(name: string, headers: IncomingHttpHeaders): boolean {
  if (!name.includes('_')) return false;
  const meant = name.replaceAll('_', '-');
  return FORWARDED.test(meant) || Object.hasOwn(headers, meant);
}

/** Path and query for the bot: the target's query is added where the caller does not give the same name. */
export function requestPath(rest: string, target: RouteTarget): string {
  const own = Object.entries(target.query);
  if (own.length === 0) return rest;
  const query = new URLSearchParams(rest.split('?')[1] ?? '');
  const added = own.filter(([name]) => !query.has(name));
  if (added.length === 0) return rest;
  return `${rest}${rest.includes('?') ? '&' : '?'}${new URLSearchParams(added)}`;
}

/** What the caller gets to see: links and cookies of the bot's root moved below its prefix. */
export function responseHeaders(
  headers: IncomingHttpHeaders,
  context: { readonly path: BotPath; readonly target: RouteTarget; readonly host: string },
): IncomingHttpHeaders {
  const { path, target } = context;
  const shown = endToEnd(headers, path.prefix === '' ? isNotPassedOn : isNotPassedOnByPath);
  if (shown.location !== undefined) shown.location = moved(shown.location, context);
  if (shown['set-cookie'] !== undefined) shown['set-cookie'] = ownCookies(shown['set-cookie'], path);
  if (path.sandboxed) shown['content-security-policy'] = sandboxed(shown['content-security-policy']);
  shown['x-container-id'] = path.id;
  shown['x-container-location'] = target.location;
  return shown;
}

/** An origin of its own for each page, beside what the bot itself demands. */
const SANDBOX = 'sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts';

const sandboxed = (own: string | string[] | undefined): string => [SANDBOX, ...[own ?? []].flat()].join(', ');

/**
 * A Location below the bot's prefix, when it points to the bot's own root; any other as it is. A bot with a host name of
 * its own knows it, and may send callers from http to https with it.
 */
function moved(
  location: string,
  { path, target, host }: { readonly path: BotPath; readonly target: RouteTarget; readonly host: string },
): string {
  if (location.startsWith('/') && !location.startsWith('//')) return below(path.prefix, location);
  if (!URL.canParse(location)) return location;
  const url = new URL(location);
  const here = `${target.host}:${target.port}`;
  const own = url.host === here || (path.prefix !== '' && url.host === host);
  return own ? below(path.prefix, url.pathname + url.search + url.hash) : location;
}

function below(prefix: string, path: string): string {
  return path === prefix || path.startsWith(`${prefix}/`) ? path : prefix + path;
}

/** Browsers take blanks around a name away, and send a cookie without a name as its value alone. */
const NAMED_AS_OURS = new RegExp(`^\\s*(?:=\\s*)?${TOKEN_COOKIE}\\s*=`);

/** Cookies kept to the bot's prefix and host name, so that bots neither see nor overwrite each other's; none may be called as ours. */
function ownCookies(cookies: readonly string[], { prefix, rest }: BotPath): string[] {
  return cookies
    .filter((cookie) => !NAMED_AS_OURS.test(cookie))
    .map((cookie) => {
      const parts = cookie
        .split(';')
        .filter((part) => !/^\s*domain\s*=/i.test(part))
        .map((part) => part.replace(/^(\s*path\s*=\s*)(\/.*)$/i, (_, name, path) => name + below(prefix, path)));
      return [...parts, ...rootPath(parts, prefix, rest ?? '/')].join(';');
    });
}

/**
 * Without a path, a cookie is for the folder of the address. That of `/container/ID` without a slash is all containers': so
 * what it is with one is said.
 */
function rootPath(parts: readonly string[], prefix: string, rest: string): string[] {
  const isRoot = prefix !== '' && /^\/(?:\?|$)/.test(rest);
  const own = parts.findLast((part) => /^\s*path\s*(?:=|$)/i.test(part)) ?? '';
  return isRoot && !/=\s*\//.test(own) ? [` Path=${prefix}`] : [];
}

function forwarded(req: IncomingMessage, { prefix }: BotPath, isBelieved: boolean): IncomingHttpHeaders {
  const address = req.socket.remoteAddress ?? '';
  const believed = isBelieved ? req.headers : {};
  const before = believed['x-forwarded-for'];
  // A caller of HTTP/1.0 need not say any.
  const host = believed['x-forwarded-host'] ?? req.headers.host;
  return {
    'x-forwarded-for': before === undefined ? address : `${before}, ${address}`,
    ...(host === undefined ? {} : { 'x-forwarded-host': host }),
    'x-forwarded-proto': believed['x-forwarded-proto'] ?? ('encrypted' in req.socket ? 'https' : 'http'),
    ...(prefix === '' ? {} : { 'x-forwarded-prefix': prefix }),
  };
}

function endToEnd(headers: IncomingHttpHeaders, isDropped: (name: string) => boolean): IncomingHttpHeaders {
  const named = namedBy(headers.connection);
  const kept: IncomingHttpHeaders = {};
  for (const name in headers) {
    if (!HOP_BY_HOP.has(name) && !named.has(name) && !isDropped(name)) kept[name] = headers[name];
  }
  return kept;
}

const NONE: ReadonlySet<string> = new Set();

/** Headers that Connection says are of the connection too. */
function namedBy(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return NONE;
  const names = connection.split(',').map((name) => name.trim().toLowerCase());
  return new Set(names.filter((name) => !FRAMING.has(name)));
}
