import { randomUUID } from 'node:crypto';
import { BunkhouseError } from '../domain/errors.ts';
import type { Actor, TokenRecord } from '../domain/state.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from '../util/clock.ts';
import { isoTime } from '../util/clock.ts';
import { hashToken, newToken } from '../util/token.ts';

/** A token as lists show it: never the token, never its hash. */
export type TokenView = Omit<TokenRecord, 'hash'>;

export interface Tokens {
  /** Makes a token and returns it, this once. Durable when it resolves. */
  create(actor: Actor): Promise<TokenView & { readonly token: string }>;
  list(): readonly TokenView[];
  /** The token is refused from now on. Throws NOT_FOUND. */
  revoke(id: string): Promise<TokenView>;
  /** By SHA-256 of the token, hex; null: no such token. */
  findByHash(hash: string): TokenRecord | null;
}

/** Use cases of bearer tokens. The state keeps them by hash, so that a look-up is one step. */
export function createTokens({ store, clock }: { readonly store: Store; readonly clock: Clock }): Tokens {
  return {
    async create(actor) {
      const token = newToken();
      const record = { id: randomUUID(), hash: hashToken(token), actor, createdAt: isoTime(clock.now()) };
      await store.update((state) => ({
        state: { ...state, tokens: { ...state.tokens, [record.hash]: record } },
        result: undefined,
      }));
      return { ...view(record), token };
    },

    list: () => Object.values(store.current().tokens).map(view),

    revoke: (id) =>
      store.update((state) => {
        const record = Object.values(state.tokens).find((token) => token.id === id);
        if (record === undefined) throw new BunkhouseError('NOT_FOUND', `There is no token ${id}; list them first.`);
        const { [record.hash]: _revoked, ...tokens } = state.tokens;
        return { state: { ...state, tokens }, result: view(record) };
      }),

    findByHash(hash) {
      const { tokens } = store.current();
      return Object.hasOwn(tokens, hash) ? (tokens[hash] ?? null) : null;
    },
  };
}

function view({ hash: _secret, ...shown }: TokenRecord): TokenView {
  return shown;
}
