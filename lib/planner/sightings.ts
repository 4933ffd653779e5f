import type { BotObservation } from '../domain/agent.ts';
import type { World } from './world.ts';

/** Where a bot was seen. */
export interface Sighting {
  readonly container: string;
  readonly slot: number;
  readonly alive: boolean;
}

/** A stopped or never started process is dead; one waiting to be tried again counts as alive, because it may start any moment. */
export function isAlive(observed: BotObservation): boolean {
  return observed.run || observed.state !== 'stopped';
}

/** Bots by id, wherever they are seen, also where the store has no claim of them. A living one hides a dead one. */
export function findBots(world: Pick<World, 'agents'>): Map<string, Sighting> {
  const found = new Map<string, Sighting>();
  for (const [container, agent] of world.agents) {
    if (agent.kind === 'unknown') continue;
    for (const bot of agent.value.bots) {
      const alive = isAlive(bot);
      if (alive || !found.has(bot.bot)) found.set(bot.bot, { container, slot: bot.slot, alive });
    }
  }
  return found;
}
