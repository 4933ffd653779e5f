import { readyBots } from '../planner/reserve.ts';
import type { World } from '../planner/world.ts';
import type { Admission } from './reconciler.ts';

/**
 * Ready bots by template, longest waiting first, as the last pass saw them and as they came since. One that is taken out is
 * nobody else's to take; whether it is still ready is for the store to say.
 */
export class ReadyBots {
  #queues = new Map<string, string[]>();

  refresh(world: World): void {
    this.#queues = readyBots(world);
  }

  add({ template, bot }: Admission): void {
    const queue = this.#queues.get(template) ?? [];
    queue.push(bot);
    this.#queues.set(template, queue);
  }

  take(template: string): string | undefined {
    return this.#queues.get(template)?.shift();
  }

  /** It was taken, and not handed out after all. */
  putBack(template: string, bot: string): void {
    this.#queues.get(template)?.unshift(bot);
  }
}
