import type { AgentObservation, ExitObservation, ServiceObservation } from '../domain/agent.ts';
import type { World } from '../planner/world.ts';
import type { Dependencies } from './dependencies.ts';

interface Seen {
  readonly agent: AgentObservation;
  readonly services: ReadonlyMap<string, ServiceObservation>;
}

const NONE: ReadonlyMap<string, ServiceObservation> = new Map();

/** Remembers the shared services of each container between two passes, so that a change becomes an event. */
export class ServiceTracker {
  readonly #events: Dependencies['events'];
  readonly #seen = new Map<string, Seen>();

  constructor(events: Dependencies['events']) {
    this.#events = events;
  }

  /** What cannot be seen has not changed. What went with its container is told with that. */
  update(world: World): void {
    for (const [container, agent] of world.agents) if (agent.kind === 'seen') this.#look(container, agent.value);
    if (world.listing.kind === 'unknown') return;
    for (const container of this.#seen.keys()) {
      if (!world.listing.value.has(container)) this.#seen.delete(container);
    }
  }

  #look(container: string, agent: AgentObservation): void {
    const before = this.#seen.get(container);
    if (before?.agent === agent) return;
    const known = before?.services ?? NONE;
    const services = new Map(agent.services.map((service) => [service.name, service]));
    this.#seen.set(container, { agent, services });
    for (const [service, now] of services) {
      const then = known.get(service);
      if (then?.state === now.state && then.startedAt === now.startedAt) continue;
      const reason = now.reason || (then?.state === now.state ? `${endOf(now.lastExit)}, and was started again` : '');
      const from = then?.state ?? null;
      this.#events.emit({ type: 'service.state', container, service, from, to: now.state, reason }, null);
    }
    for (const [service, { state: from }] of known) {
      if (services.has(service) || from === 'stopped') continue;
      const reason = 'no bot wants it any more';
      this.#events.emit({ type: 'service.state', container, service, from, to: 'stopped', reason }, null);
    }
  }
}

// Private

/** Between two looks. */
function endOf(exit: ExitObservation | null): string {
  if (exit === null) return 'it ended';
  return exit.signal === null ? `it ended with code ${exit.code}` : `it was ended by ${exit.signal}`;
}
