import { hasCode } from '../domain/errors.ts';
import type { Actor } from '../domain/state.ts';
import type { LeaseApi, LeaseView } from '../services/lease-api.ts';

type Access = LeaseView['access'];

/** What a lease tells its holder is in the bot's present secrets, so it is kept nowhere else, and null once the lease is over. */
export function accessKeptOut<Json extends { readonly access: Access }>(
  api: LeaseApi,
  leaseOf: (json: Json) => string,
) {
  return {
    leaveOut: (json: Json): Json => ({ ...json, access: null }),
    fillIn: (json: Json, actor: Actor): Json => ({ ...json, access: accessOf(api, actor, leaseOf(json)) }),
  };
}

// Private

function accessOf(api: LeaseApi, actor: Actor, id: string): Access {
  try {
    return api.get(actor, id).access;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return null;
    throw error;
  }
}
