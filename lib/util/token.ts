import { createHash, randomBytes } from 'node:crypto';

/** Tells a token of ours from credentials meant for a bot, and lets secret scanners find a leaked one. */
export const TOKEN_PREFIX = 'bh_';

/** A new bearer token: 256 random bits. */
export function newToken(): string {
  return TOKEN_PREFIX + randomBytes(32).toString('base64url');
}

/** SHA-256 in hex; what is kept of a token. Enough without a salt, as tokens are random and not chosen by people. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
