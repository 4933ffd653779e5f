import type { IncomingHttpHeaders } from 'node:http';
import { TOKEN_PREFIX } from '../util/token.ts';

export const TOKEN_HEADER = 'x-bunkhouse-token';
export const TOKEN_COOKIE = 'bunkhouse_token';

/** A caller's token for Bunkhouse, and how it came: a browser sends a cookie by itself, so that alone proves no intent. */
export interface Credential {
  readonly token: string;
  readonly from: 'header' | 'bearer' | 'cookie';
}

/** The token in a request for a bot: its own header first, then a bearer token that is ours, then the cookie. */
export function credentialOf(headers: IncomingHttpHeaders): Credential | null {
  const header = headers[TOKEN_HEADER];
  if (typeof header === 'string') return { token: header, from: 'header' };
  const bearer = ourBearer(headers.authorization);
  if (bearer !== null) return { token: bearer, from: 'bearer' };
  const cookie = cookies(headers).find((pair) => isOurs(pair));
  return cookie === undefined ? null : { token: cookie.slice(cookie.indexOf('=') + 1), from: 'cookie' };
}

/** The headers without any credential of ours, so that no bot ever sees one. */
export function withoutCredentials(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { [TOKEN_HEADER]: _token, cookie, authorization, ...rest } = headers;
  if (authorization !== undefined && ourBearer(authorization) === null) rest.authorization = authorization;
  const others = cookie === undefined ? [] : cookies(headers).filter((pair) => !isOurs(pair));
  if (others.length > 0) rest.cookie = others.join('; ');
  return rest;
}

/** Whether a browser says that a page of this same origin made the request. Without either header it proves nothing: no. */
export function isSameOrigin(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') return false;
  const { origin } = headers;
  if (origin === undefined) return site === 'same-origin';
  return URL.canParse(origin) && new URL(origin).host === headers.host;
}

function ourBearer(authorization: string | undefined): string | null {
  const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  return token?.startsWith(TOKEN_PREFIX) ? token : null;
}

const cookies = ({ cookie = '' }: IncomingHttpHeaders): string[] =>
  cookie
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '');

const isOurs = (pair: string): boolean => pair.startsWith(`${TOKEN_COOKIE}=`);
