import { poolLocation } from '../domain/bot.ts';
import type { ContainerObservation, ContainerRecord, ContainerSpec } from '../domain/container.ts';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import type { Agent, Capabilities, Driver, DriverEvent, Site } from './driver.ts';
import { Lookout } from './lookout.ts';

/** A driver and the locations whose containers it has. */
export interface Endpoint {
  readonly locations: readonly string[];
  readonly driver: Driver;
}

export interface FleetOptions {
  /** At least one, of whatever kinds. */
  readonly endpoints: readonly Endpoint[];
  /** What must be somewhere, by name: the store knows. */
  readonly recorded: () => Readonly<Record<string, ContainerRecord>>;
  readonly clock: Clock;
}

/** How long others wait for one endpoint. */
const PATIENCE_MS = 2_000;

interface Post extends Endpoint {
  readonly lookout: Lookout;
}

/**
 * Several endpoints as one driver, which sends each call to that of the container's location. An endpoint that cannot be
 * reached hides only its own: containers recorded for it are listed as unknown, so that nobody takes them for gone.
 */
export class FleetDriver implements Driver {
  /** Of several kinds: all of them. */
  readonly name: string;
  /** Of the first endpoint: ask for a location's by `at`. */
  readonly bindHost: string;
  readonly #posts: readonly [Post, ...Post[]];
  readonly #recorded: FleetOptions['recorded'];
  /** Where each container was seen last. */
  readonly #homes = new Map<string, Post>();

  constructor({ endpoints, recorded, clock }: FleetOptions) {
    const patienceMs = endpoints.length > 1 ? PATIENCE_MS : null;
    const [first, ...others] = endpoints.map((endpoint) => {
      return { ...endpoint, lookout: new Lookout(endpoint.driver, clock, patienceMs) };
    });
    if (first === undefined) throw new TypeError('a fleet has at least one endpoint');
    this.name = [...new Set(endpoints.map(({ driver }) => driver.name))].join('+');
    this.bindHost = first.driver.bindHost;
    this.#posts = [first, ...others];
    this.#recorded = recorded;
  }

  /** What containers of a location are. Of one that is not configured nothing is made, so anything will do. */
  at(location: string): Site {
    return (this.#posts.find(({ locations }) => locations.includes(location)) ?? this.#posts[0]).driver;
  }

  /** Locations that could not be seen the last time, and why. */
  unreachable(): ReadonlyMap<string, string> {
    return new Map(
      this.#posts.flatMap(({ locations, lookout: { blindness } }) =>
        blindness === null ? [] : locations.map((location) => [location, unseen(location, blindness)] as const),
      ),
    );
  }

  /** As long as one endpoint is fit for use. What ails the others is among the notes. */
  async capabilities(): Promise<Capabilities> {
    const asked = await Promise.allSettled(this.#posts.map(({ driver }) => driver.capabilities()));
    const fit = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const [failure] = asked.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    if (fit.length === 0) throw failure;
    const notes = asked.flatMap((answer, index) => {
      const where = this.#posts[index]?.locations.join(', ') ?? '';
      if (answer.status === 'rejected') return [unseen(where, messageOf(answer.reason))];
      return answer.value.notes.map((note) => (this.#posts.length === 1 ? note : `${where}: ${note}`));
    });
    return {
      driver: this.name,
      isolatesUsers: fit.every(({ isolatesUsers }) => isolatesUsers),
      images: fit.every(({ images }) => images),
      notes,
    };
  }

  /** Throws only when no endpoint can be seen: then it says nothing about any container. */
  async list(): Promise<readonly ContainerObservation[]> {
    const seen = new Map<string, ContainerObservation>();
    const looks = await Promise.all(this.#posts.map(async (post) => ({ post, outlook: await post.lookout.look() })));
    const [first] = looks;
    if (first?.outlook.kind === 'blind' && looks.every(({ outlook }) => outlook.kind === 'blind')) {
      throw new BunkhouseError('DRIVER_UNAVAILABLE', first.outlook.reason);
    }
    for (const { post, outlook } of looks) {
      if (outlook.kind === 'blind') continue;
      for (const found of outlook.containers) {
        if (!this.#isHome(post, found.pool)) continue;
        const other = seen.get(found.name);
        seen.set(found.name, other === undefined || other.pool === found.pool ? found : hidden(found, TWICE));
        this.#homes.set(found.name, post);
      }
    }
    return [...seen.values(), ...this.#hidden(seen)];
  }

  async create(spec: ContainerSpec): Promise<void> {
    const post = this.#postOf(spec.record.pool);
    if (post === undefined) throw notConfigured(spec.record.pool);
    await post.driver.create(spec);
    this.#homes.set(spec.record.name, post);
  }

  async start(name: string): Promise<void> {
    await (await this.#home(name)).start(name);
  }

  async stop(name: string, graceSeconds: number): Promise<void> {
    await (await this.#home(name)).stop(name, graceSeconds);
  }

  async remove(name: string): Promise<void> {
    await (await this.#home(name)).remove(name);
    this.#homes.delete(name);
  }

  async connect(name: string): Promise<Agent> {
    return (await this.#home(name)).connect(name);
  }

  /** What each endpoint that answers takes for a stranger's: one knows nothing of the others' containers. */
  async portsInUse(basePort: number, count: number): Promise<readonly number[]> {
    const asked = await Promise.allSettled(this.#posts.map(({ driver }) => driver.portsInUse(basePort, count)));
    const answers = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const [first, ...others] = answers;
    if (first === undefined) throw (asked[0] as PromiseRejectedResult).reason;
    return first.filter((port) => others.every((ports) => ports.includes(port)));
  }

  watch(onEvent: (event: DriverEvent) => void, signal: AbortSignal): void {
    for (const { driver } of this.#posts) driver.watch(onEvent, signal);
  }

  async close(): Promise<void> {
    await Promise.all(this.#posts.map(({ driver }) => driver.close()));
  }

  // Private

  #postOf(pool: string): Post | undefined {
    return this.#posts.find(({ locations }) => locations.includes(poolLocation(pool)));
  }

  /** An engine may be reached by two addresses; and what is of no location any more is still to be seen. */
  #isHome(post: Post, pool: string): boolean {
    return (this.#postOf(pool) ?? post) === post;
  }

  /** Containers that are recorded where nobody can look. */
  #hidden(seen: ReadonlyMap<string, ContainerObservation>): ContainerObservation[] {
    return Object.values(this.#recorded()).flatMap((record) => {
      if (seen.has(record.name)) return [];
      const location = poolLocation(record.pool);
      const post = this.#postOf(record.pool);
      if (post === undefined) return [hidden(record, notConfigured(record.pool).message)];
      const { blindness } = post.lookout;
      return blindness === null ? [] : [hidden(record, unseen(location, blindness))];
    });
  }

  /** The driver that has it, or one that will say that there is none. Throws DRIVER_UNAVAILABLE when nobody can know. */
  async #home(name: string): Promise<Driver> {
    const known = this.#homes.get(name) ?? this.#postOfRecord(name);
    if (known !== undefined) return known.driver;
    await this.list();
    const found = this.#homes.get(name);
    const [blind] = this.unreachable().values();
    if (found === undefined && blind !== undefined) throw new BunkhouseError('DRIVER_UNAVAILABLE', blind);
    return (found ?? this.#posts[0]).driver;
  }

  #postOfRecord(name: string): Post | undefined {
    const records = this.#recorded();
    const record = Object.hasOwn(records, name) ? records[name] : undefined;
    return record === undefined ? undefined : this.#postOf(record.pool);
  }
}

/** An older store was brought back while one endpoint was away, and so the name was given anew. Nothing is done to either. */
const TWICE =
  'two locations have a container of that name: remove the one that is not wanted by the means of its engine';

const unseen = (location: string, reason: string): string => `location ${location} cannot be reached: ${reason}`;

function notConfigured(pool: string): BunkhouseError {
  const location = poolLocation(pool);
  return new BunkhouseError('DRIVER_UNAVAILABLE', `location ${location} is not configured: put it into LOCATIONS`);
}

function hidden(
  record: Omit<ContainerObservation, 'status' | 'host' | 'reason'>,
  reason: string,
): ContainerObservation {
  const { name, pool, generation, capacity, basePort } = record;
  return { name, pool, generation, capacity, basePort, status: 'unknown', host: '', reason };
}
