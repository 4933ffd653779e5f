import type { DormantBot } from '../../domain/agent.ts';
import { BunkhouseError } from '../../domain/errors.ts';

/** The highest generation seen of each bot, also of removed ones. */
export class MemoryFences {
  readonly #seen = new Map<string, { readonly generation: number; readonly removed: boolean; readonly slot: number }>();

  /** Those that are there. */
  get known(): DormantBot[] {
    return [...this.#seen].flatMap(([bot, { slot, generation, removed }]) =>
      removed ? [] : [{ bot, slot, generation }],
    );
  }

  /** Throws STALE_GENERATION. `alive`: for a bot that is to be there, which a removed one is only by a newer generation. */
  check(bot: string, generation: number, alive: boolean): void {
    const seen = this.#seen.get(bot);
    if (seen === undefined) return;
    const removed = alive && seen.removed && generation === seen.generation;
    if (generation >= seen.generation && !removed) return;
    const message = `generation ${generation} of ${bot} was overtaken by ${seen.generation}`;
    throw new BunkhouseError('STALE_GENERATION', message, { details: { generation: seen.generation } });
  }

  raise(bot: string, generation: number, removed: boolean, slot = this.#seen.get(bot)?.slot ?? 0): void {
    this.#seen.set(bot, { generation, removed, slot });
  }
}
