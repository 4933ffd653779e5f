import { BunkhouseError } from '../domain/errors.ts';
import { botOfHost } from '../domain/hosts.ts';
import { INSTANCE_ID } from '../domain/ids.ts';
import type { RouteTarget } from '../services/pool-api.ts';

/** A request's address split at the bot: who is meant, and what it is asked for, unchanged. */
export interface BotPath {
  readonly bot: string;
  /** By which the caller has it. */
  readonly id: string;
  /** `/bots/ID`; empty when the host name says which bot is meant, so that it has all paths to itself. */
  readonly prefix: string;
  /** Path and query as they came, beginning with a slash; null for `/bots/ID` itself, which has no slash to resolve links against. */
  readonly rest: string | null;
  readonly query: string;
  /** Whether its pages are kept from the origin of the API, because anybody may have made them and be sent there. */
  readonly sandboxed: boolean;
}

/** One request on its way to a bot. */
export interface Passage {
  readonly path: BotPath;
  readonly target: RouteTarget;
}

/**
 * Splits `/bots/ID/…`; null when it is another address. Throws INVALID for an id that cannot be one, and for `..` in any
 * spelling: what the bot would make of it is not for us to guess.
 */
export function splitBotPath(url: string): BotPath | null {
  const [, id, path, query = ''] = /^\/bots\/([^/?#]+)(\/[^?#]*)?(\?[^#]*)?$/.exec(url) ?? [];
  if (id === undefined) return null;
  if (!INSTANCE_ID.test(id))
    throw new BunkhouseError('INVALID', 'This is not the id of a bot: GET /api/bots lists them.');
  if (path !== undefined) refuseClimbing(path);
  return {
    bot: id,
    id,
    prefix: `/bots/${id}`,
    rest: path === undefined ? null : path + query,
    query,
    sandboxed: false,
  };
}

/**
 * Splits a request to `<id>.BASE_DOMAIN`; null when its host name is outside of the base domain. Throws NOT_FOUND for names
 * below it that no bot has, and INVALID for anything but a path: nothing but the bot may answer under its name.
 */
export function splitBotHost(host: string, url: string, baseDomain: string): BotPath | null {
  const named = botOfHost(host, baseDomain);
  if (named === null) return null;
  if (named.bot === null) throw new BunkhouseError('NOT_FOUND', `No bot can have the host name ${host}.`);
  if (!url.startsWith('/')) throw new BunkhouseError('INVALID', 'Ask for a path, beginning with a slash.');
  return { bot: named.bot, id: named.bot, prefix: '', rest: url, query: '', sandboxed: false };
}

/** Throws INVALID for `..` in any spelling. */
export function refuseClimbing(path: string): void {
  if (climbs(path)) throw new BunkhouseError('INVALID', 'The path must not hold ".." parts.');
}

function climbs(path: string): boolean {
  return decoded(path)
    .split(/[/\\]/)
    .some((part) => part === '..');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new BunkhouseError('INVALID', 'The path is not valid percent-encoding.', { cause });
  }
}
