import { type BotRecord, placesOf } from '../domain/bot.ts';
import type { State } from '../domain/state.ts';

/** Bots by the containers in which they have a slot, or have kept one until their move is over. */
export function claimsByContainer({ bots }: Pick<State, 'bots'>): ReadonlyMap<string, readonly BotRecord[]> {
  const claims = new Map<string, BotRecord[]>();
  for (const bot of bots.records) {
    const places = placesOf(bot).map(({ container }) => container);
    for (const container of new Set(places)) {
      const known = claims.get(container);
      if (known === undefined) claims.set(container, [bot]);
      else known.push(bot);
    }
  }
  return claims;
}
