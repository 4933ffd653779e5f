import { BunkhouseError } from '../domain/errors.ts';
import { INSTANCE_ID } from '../domain/ids.ts';

/** A request's address split at the bot: `/bots/ID` and what the bot is asked for, unchanged. */
export interface BotPath {
  readonly bot: string;
  readonly prefix: string;
  /** Path and query as they came, beginning with a slash; null for `/bots/ID` itself, which has no slash to resolve links against. */
  readonly rest: string | null;
  readonly query: string;
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
  if (path !== undefined && climbs(path)) throw new BunkhouseError('INVALID', 'The path must not hold ".." parts.');
  return { bot: id, prefix: `/bots/${id}`, rest: path === undefined ? null : path + query, query };
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
