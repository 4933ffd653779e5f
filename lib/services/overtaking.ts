import { BunkhouseError, hasCode } from '../domain/errors.ts';
import type { ApplyContext } from './executors.ts';
import { overtake } from './reserve-changes.ts';

/**
 * False: the container has seen a newer generation (an older store was restored), so the bot got one above that. `blind`: why that
 * cannot be risked, because it may be further elsewhere; then it throws AGENT_UNAVAILABLE.
 */
export async function overtakeIfStale(
  { store, leaseClock }: Pick<ApplyContext, 'store' | 'leaseClock'>,
  bot: string,
  generation: number,
  work: () => Promise<unknown>,
  blind: string | null = null,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!hasCode(error, 'STALE_GENERATION')) throw error;
    const why = `an older copy of the store was brought back, and ${bot} may be elsewhere since: ${blind}`;
    if (blind !== null) throw new BunkhouseError('AGENT_UNAVAILABLE', why);
    const seen = Number(error.details?.generation ?? generation);
    await store.update(overtake(bot, seen, leaseClock.now()));
    return false;
  }
}
