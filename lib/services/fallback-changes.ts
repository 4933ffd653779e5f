import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import type { LegacyLife } from '../domain/move.ts';
import type { State } from '../domain/state.ts';
import type { Change } from '../store/store.ts';
import { isoTime } from '../util/clock.ts';
import { findBot, findContainer, putBot } from './bot-container-mapper.ts';

/** The changes of bots that the pool cannot take, each a pure compare-and-set. Times in ms since the epoch. */

/** Lets it be alone. Throws CONFLICT unless it was never anywhere. */
export function fallBack(instanceId: string, why: string, now: number): Change<BotRecord> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.legacy !== null) throw new BunkhouseError('CONFLICT', `${instanceId} is to be alone already`);
    return replace(state, bot, { cause: 'fallback', why, since: isoTime(now) });
  };
}

/** Lets it share again. Throws CONFLICT unless it fell back and was never anywhere. */
export function rejoinPool(instanceId: string): Change<BotRecord> {
  return (state) => {
    const bot = findBot(state, instanceId);
    if (bot.legacy?.cause !== 'fallback') throw new BunkhouseError('CONFLICT', `${instanceId} did not fall back`);
    return replace(state, bot, null);
  };
}

// Private

/** Where it has a place, that must never have heard of any bot: only then it cannot run there, nor have data there. */
function replace(
  state: State,
  bot: BotRecord,
  legacy: LegacyLife | null,
): { readonly state: State; readonly result: BotRecord } {
  const { instanceId, placement, reserve, move, deleting } = bot;
  if (deleting || reserve !== null || move !== null)
    throw new BunkhouseError('CONFLICT', `${instanceId} is deleted, moved or of the reserve`);
  if (placement !== null && findContainer(state, placement.container).entered)
    throw new BunkhouseError('CONFLICT', `${instanceId} may be in ${placement.container}`);
  const generation = state.generation + 1;
  const result: BotRecord = { ...bot, legacy, placement: null, generation };
  return { state: { ...putBot(state, result), generation }, result };
}
