import type { World } from '../planner/world.ts';
import type { Dependencies } from './dependencies.ts';

/** Remembers which containers ran, so that one which ran and does not any more becomes an event. */
export class Losses {
  readonly #events: Dependencies['events'];
  #ran: ReadonlySet<string> = new Set();

  constructor(events: Dependencies['events']) {
    this.#events = events;
  }

  update({ listing, agents, state }: World): void {
    if (listing.kind === 'unknown') return;
    const running = new Set(agents.keys());
    for (const name of this.#ran) {
      if (running.has(name) || state.containers[name]?.removing !== false) continue;
      const reason = listing.value.get(name)?.reason || 'it is not running any more';
      this.#events.emit({ type: 'container.lost', container: name, reason }, null);
    }
    this.#ran = running;
  }
}
