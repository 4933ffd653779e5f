import { hasCode } from '../domain/errors.ts';
import type { NewerPlace } from '../domain/steps.ts';
import type { ApplyContext } from './executors.ts';
import { followNewest } from './move-changes.ts';
import { overtake } from './reserve-changes.ts';

/**
 * False: the container has seen a newer generation (an older store was restored), so the bot got one above that; or it was seen by a
 * `newer` one elsewhere, where it belongs then.
 */
export async function overtakeIfStale(
  { store, leaseClock }: Pick<ApplyContext, 'store' | 'leaseClock'>,
  bot: string,
  generation: number,
  work: () => Promise<unknown>,
  newer: NewerPlace | null = null,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!hasCode(error, 'STALE_GENERATION')) throw error;
    const seen = Number(error.details?.generation ?? generation);
    if (newer !== null && newer.generation > seen)
      await store.update(followNewest({ bot, ...newer }, newer.generation, leaseClock.now()));
    else await store.update(overtake(bot, seen, leaseClock.now()));
    return false;
  }
}
