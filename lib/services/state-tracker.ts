import type { BotRecord, BotState } from '../domain/bot.ts';
import { type DerivedState, deriveState } from '../planner/bot-state.ts';
import type { World } from '../planner/world.ts';
import { isoTime } from '../util/clock.ts';
import type { Dependencies } from './dependencies.ts';

export interface TrackedState extends DerivedState {
  /** ISO 8601. */
  readonly since: string;
}

/** Remembers each bot's state between two passes, so that a change becomes an event and has a time. */
export class StateTracker {
  readonly #events: Dependencies['events'];
  #states: ReadonlyMap<string, TrackedState> = new Map();

  constructor(events: Dependencies['events']) {
    this.#events = events;
  }

  /** Null for a bot made after the last pass. */
  get(instanceId: string): TrackedState | null {
    return this.#states.get(instanceId) ?? null;
  }

  update(world: World): void {
    const now = isoTime(world.now);
    const bots = world.state.bots.records;
    this.#states = new Map(bots.map((bot) => [bot.instanceId, this.#next(world, bot, now)]));
  }

  #next(world: World, bot: BotRecord, now: string): TrackedState {
    const derived = deriveState(world, bot);
    const before = this.#states.get(bot.instanceId);
    if (before?.state === derived.state) return { ...derived, since: before.since };
    this.#announce(bot, before?.state ?? null, derived);
    return { ...derived, since: now };
  }

  #announce(bot: BotRecord, from: BotState | null, to: DerivedState): void {
    this.#events.emit({ type: 'bot.state', bot: bot.instanceId, from, to: to.state, reason: to.reason }, bot.owner);
  }
}
