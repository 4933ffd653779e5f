import { timingSafeEqual } from 'node:crypto';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor, TokenRecord } from '../domain/state.ts';
import { hashToken } from '../util/token.ts';

export interface Auth {
  /** Whose token it is; null: nobody's. */
  actorOf(token: string): Actor | null;
}

export interface AuthOptions {
  /** SHA-256 in hex of the administrator's token; the token itself is not kept in memory. */
  readonly adminTokenHash: string;
  /** Looks up a made token by its SHA-256 in hex. */
  readonly findByHash: (hash: string) => TokenRecord | null;
}

/** Who may do what with which bearer token: the administrator's own, or one made by POST /api/tokens. */
export function createAuth({ adminTokenHash, findByHash }: AuthOptions): Auth {
  const admin = Buffer.from(adminTokenHash, 'hex');
  return {
    actorOf(token) {
      const hash = hashToken(token);
      if (timingSafeEqual(Buffer.from(hash, 'hex'), admin)) return { role: 'admin' };
      return findByHash(hash)?.actor ?? null;
    },
  };
}

/** The token of an `Authorization: Bearer` header, or null. */
export function bearerOf(authorization: string | undefined): string | null {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? null;
}

/** Throws UNAUTHORIZED without a valid token, FORBIDDEN for an owner where only admins may. */
export function requireActor(auth: Auth, token: string | null, access: 'any' | 'admin'): Actor {
  const actor = token === null ? null : auth.actorOf(token);
  if (actor === null) {
    const what = token === null ? 'This needs a token' : 'This token is not valid (any more)';
    throw new BunkhouseError('UNAUTHORIZED', `${what}: send Authorization: Bearer with one that is.`);
  }
  if (access === 'admin' && actor.role !== 'admin') {
    throw new BunkhouseError('FORBIDDEN', 'Only an administrator may do this; your token is that of an owner.');
  }
  return actor;
}
