import { readyBots } from '../planner/reserve.ts';
import type { World } from '../planner/world.ts';
import type { Admission } from './reconciler.ts';

/** How often all bots are looked at anew, should one have been overlooked. */
const REFRESH_MS = 10_000;

/**
 * Ready bots by template, longest waiting first. What becomes ready is added; a look at all bots in every pass would take
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

  add({ template, bot }: Admission): void {
    const queue = this.#queues.get(template) ?? [];
    queue.push(bot);
    this.#queues.set(template, queue);
  }

  /** The first that is fit; those that are not wait on behind the others. */
  take(template: string, isFit: (bot: string) => boolean): string | undefined {
    const queue = this.#queues.get(template) ?? [];
    for (let left = queue.length; left > 0; left--) {
      const bot = queue.shift();
      if (bot === undefined || isFit(bot)) return bot;
      queue.push(bot);
    }
    return undefined;
  }

  /** It was taken, and not handed out after all. */
  putBack(template: string, bot: string): void {
    this.#queues.get(template)?.unshift(bot);
  }
}
