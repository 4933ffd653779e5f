import type { BotRecord, BotState } from '../domain/bot.ts';
import { type DerivedState, deriveState } from '../planner/bot-state.ts';
import type { World } from '../planner/world.ts';
import { isoTime } from '../util/clock.ts';
import type { Dependencies } from './dependencies.ts';
import { ServiceTracker } from './service-tracker.ts';

export interface TrackedState extends DerivedState {
  /** ISO 8601. */
  readonly since: string;
}

/** Remembers each bot's state, and those of services, between two passes, so that a change becomes an event and has a time. */
export class StateTracker {
  readonly #events: Dependencies['events'];
  readonly #states = new Map<string, TrackedState>();
  readonly #services: ServiceTracker;

  constructor(events: Dependencies['events']) {
    this.#events = events;
    this.#services = new ServiceTracker(events);
  }

  /** Null for a bot made after the last pass. */
  get(instanceId: string): TrackedState | null {
    return this.#states.get(instanceId) ?? null;
  }

  update(world: World): void {
    this.#services.update(world);
    const now = isoTime(world.now);
    const { bots } = world.state;
    for (const bot of bots.records) this.#look(world, bot, now);
    if (this.#states.size === bots.size) return;
    for (const bot of this.#states.keys()) if (!bots.has(bot)) this.#states.delete(bot);
  }

  #look(world: World, bot: BotRecord, now: string): void {
    const derived = deriveState(world, bot);
    const before = this.#states.get(bot.instanceId);
    if (before !== undefined && isSame(before, derived)) return;
    if (before?.state !== derived.state) this.#announce(bot, before?.state ?? null, derived);
    const since = before?.state === derived.state ? before.since : now;
    this.#states.set(bot.instanceId, { ...derived, since });
  }

  #announce(bot: BotRecord, from: BotState | null, to: DerivedState): void {
    this.#events.emit({ type: 'bot.state', bot: bot.instanceId, from, to: to.state, reason: to.reason }, bot.owner);
  }
}

// Private

const isSame = (before: DerivedState, now: DerivedState): boolean =>
  before.observed === now.observed && before.state === now.state && before.reason === now.reason;
