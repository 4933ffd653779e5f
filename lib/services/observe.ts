import type { AgentObservation } from '../domain/agent.ts';
import type { ContainerObservation } from '../domain/container.ts';
import { messageOf } from '../domain/errors.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Seen } from '../planner/world.ts';
import type { Clock } from '../util/clock.ts';
import { mapLimited } from '../util/limit.ts';
import type { Agents } from './agents.ts';

type Listing = Seen<ReadonlyMap<string, ContainerObservation>>;

/** Containers asked at the same time. */
const WIDTH = 32;
/** How long a pass waits for one container. A hung one then counts as unknown, and its answer, when it comes, asks for a new pass. */
const PATIENCE_MS = 2_000;

/** The newest picture of all containers. What cannot be seen is kept as unknown, never dropped. */
export class Observer {
  readonly #driver: Driver;
  readonly #agents: Agents;
  readonly #clock: Clock;
  readonly #onLateAnswer: (container: string) => void;
  readonly #asking = new Set<string>();
  #listing: Listing = { kind: 'unknown', reason: 'the driver has not been asked yet' };
  readonly #seen = new Map<string, Seen<AgentObservation>>();

  constructor(driver: Driver, agents: Agents, clock: Clock, onLateAnswer: (container: string) => void) {
    this.#driver = driver;
    this.#agents = agents;
    this.#clock = clock;
    this.#onLateAnswer = onLateAnswer;
  }

  get listing(): Listing {
    return this.#listing;
  }

  get agents(): ReadonlyMap<string, Seen<AgentObservation>> {
    return this.#seen;
  }

  /** Lists all containers and asks those in `scope`, and all that are new or could not be seen before. Never throws. */
  async refresh(scope: 'all' | ReadonlySet<string>): Promise<void> {
    this.#listing = await this.#list();
    if (this.#listing.kind === 'unknown') return;
    const running = [...this.#listing.value.values()].filter((container) => container.status === 'running');
    const names = new Set(running.map((container) => container.name));
    for (const name of this.#seen.keys()) if (!names.has(name)) this.#lose(name);
    const due = [...names].filter(
      (name) => scope === 'all' || scope.has(name) || this.#seen.get(name)?.kind !== 'seen',
    );
    await mapLimited(due, WIDTH, (name) => this.#look(name));
  }

  async #look(name: string): Promise<void> {
    if (this.#asking.has(name)) return;
    this.#asking.add(name);
    const patience = new AbortController();
    let late = false;
    const answer = this.#ask(name).then((seen) => {
      this.#asking.delete(name);
      // It stopped running while it was asked: what it was is no picture of what it is.
      if (late && !this.#seen.has(name)) return;
      this.#seen.set(name, seen);
      patience.abort();
      if (late) this.#onLateAnswer(name);
    });
    await Promise.race([answer, this.#clock.sleep(PATIENCE_MS, patience.signal)]);
    if (!this.#asking.has(name)) return;
    late = true;
    this.#seen.set(name, { kind: 'unknown', reason: `it has not answered for ${PATIENCE_MS / 1000} s` });
  }

  async #list(): Promise<Listing> {
    try {
      const containers = await this.#driver.list();
      return { kind: 'seen', value: new Map(containers.map((container) => [container.name, container])) };
    } catch (error) {
      return { kind: 'unknown', reason: messageOf(error) };
    }
  }

  async #ask(name: string): Promise<Seen<AgentObservation>> {
    try {
      const agent = await this.#agents.get(name);
      return { kind: 'seen', value: await agent.observe() };
    } catch (error) {
      this.#agents.drop(name);
      return { kind: 'unknown', reason: messageOf(error) };
    }
  }

  #lose(name: string): void {
    this.#seen.delete(name);
    this.#agents.drop(name);
  }
}
