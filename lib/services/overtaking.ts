import { hasCode } from '../domain/errors.ts';
import type { ApplyContext } from './executors.ts';
import { overtake } from './reserve-changes.ts';

/** False: the container has seen a newer generation (an older store was restored), so the bot got one above that. */
export async function overtakeIfStale(
  { store, leaseClock }: Pick<ApplyContext, 'store' | 'leaseClock'>,
  bot: string,
  generation: number,
  work: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!hasCode(error, 'STALE_GENERATION')) throw error;
    const seen = Number(error.details?.generation ?? generation);
    await store.update(overtake(bot, seen, leaseClock.now()));
    return false;
  }
}
