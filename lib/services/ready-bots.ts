import { type ReservePlace, reserveKey } from '../domain/lease.ts';
import { readyBots } from '../planner/reserve.ts';
import type { World } from '../planner/world.ts';
import type { Admission } from './reconciler.ts';

/** How often all bots are looked at anew, should one have been overlooked. */
const REFRESH_MS = 10_000;

/**
 * Ready bots by template and location, longest waiting first. What becomes ready is added; a look at all bots in every pass would take
 * its time among thousands. One that is taken out is nobody else's to take; whether it is still ready is for the store to say.
 */
export class ReadyBots {
  #queues = new Map<string, string[]>();
  #refreshedAt = Number.NEGATIVE_INFINITY;

  refresh(world: World): void {
    if (Math.abs(world.leaseClock - this.#refreshedAt) < REFRESH_MS) return;
    this.#refreshedAt = world.leaseClock;
    this.#queues = readyBots(world.state);
  }

  add({ place, bot }: Admission): void {
    const queue = this.#queues.get(reserveKey(place)) ?? [];
    queue.push(bot);
    this.#queues.set(reserveKey(place), queue);
  }

  /** The first that is fit; those that are not wait on behind the others. */
  take(place: ReservePlace, isFit: (bot: string) => boolean): string | undefined {
    const queue = this.#queues.get(reserveKey(place)) ?? [];
    for (let left = queue.length; left > 0; left--) {
      const bot = queue.shift();
      if (bot === undefined || isFit(bot)) return bot;
      queue.push(bot);
    }
    return undefined;
  }

  /** It was taken, and not handed out after all. */
  putBack(place: ReservePlace, bot: string): void {
    this.#queues.get(reserveKey(place))?.unshift(bot);
  }
}
