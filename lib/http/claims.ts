import type { IncomingMessage } from 'node:http';
import { FORWARDED, isLoopback } from '../util/forwarded.ts';
import type { Connection } from '../util/socket-owner.ts';
import type { Trusts } from './client.ts';

export interface ClaimsOptions {
  readonly trusts: Trusts;
  /** Bots of this machine have uids from here on; null: they cannot be told from others by it. */
  readonly firstBotUid: number | null;
  readonly owners: { uidOf(connection: Connection): Promise<number | null> };
}

export interface Claims {
  /**
   * Takes X-Forwarded-* from a request that comes from this machine and not from a front on it: bots are on it too, and would
   * else be whomever they like. Null: nothing needs to be found out. Never rejects.
   */
  check(req: IncomingMessage): Promise<void> | null;
}

/** Looks only at requests that say something, and once at each connection. */
export function createClaims({ trusts, firstBotUid, owners }: ClaimsOptions): Claims {
  const fronts = new WeakMap<object, boolean>();

  async function look({ socket }: IncomingMessage, firstUid: number): Promise<boolean> {
    const uid = await owners.uidOf(socket);
    const isFront = uid !== null && uid < firstUid;
    fronts.set(socket, isFront);
    return isFront;
  }

  return {
    check(req) {
      const { socket, headers } = req;
      const { remoteAddress } = socket;
      if (firstBotUid === null || !isLoopback(remoteAddress) || !trusts(remoteAddress)) return null;
      if (!Object.keys(headers).some((name) => FORWARDED.test(name))) return null;
      const known = fronts.get(socket);
      if (known === undefined) return look(req, firstBotUid).then((isFront) => settle(req, isFront));
      settle(req, known);
      return null;
    },
  };
}

// Private

function settle({ headers }: IncomingMessage, isFront: boolean): void {
  if (isFront) return;
  for (const name of Object.keys(headers)) if (FORWARDED.test(name)) delete headers[name];
}
