import type { ContainerObservation, ContainerRecord, ContainerSpec } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import type { Agent, Capabilities, Driver, DriverEvent } from './driver.ts';
import { assertSame, sameRange } from './labels.ts';
import { MemoryAgent } from './memory/agent.ts';
import type { MemoryContainer } from './memory/container.ts';
import { MemoryWorld } from './memory/world.ts';

export interface MemoryDriverOptions {
  readonly clock: Clock;
  /** The machine it works on; a new one by default. */
  readonly world?: MemoryWorld;
  readonly installation?: string;
}

const HOST = '127.0.0.1';

/** A working driver whose containers and bots are values in memory: for tests, and for measuring everything else. */
export class MemoryDriver implements Driver {
  readonly name = 'memory';
  readonly bindHost = HOST;
  readonly world: MemoryWorld;
  readonly #installation: string;

  constructor({ clock, world = new MemoryWorld(clock), installation = 'memory' }: MemoryDriverOptions) {
    this.world = world;
    this.#installation = installation;
  }

  capabilities(): Promise<Capabilities> {
    const notes = ['nothing real runs: containers and bots are make-believe'];
    return this.#run('capabilities', '', () => ({ driver: this.name, isolatesUsers: true, images: false, notes }));
  }

  list(): Promise<readonly ContainerObservation[]> {
    return this.#run('list', '', () => [...this.#own()].map(observe));
  }

  create({ record }: ContainerSpec): Promise<void> {
    return this.#run('create', record.name, () => {
      const known = this.world.containers.get(record.name);
      if (known !== undefined && known.installation !== this.#installation) {
        throw new BunkhouseError('CONFLICT', `${record.name} belongs to another installation`);
      }
      if (known?.running) return assertSame(known.record, record);
      if (known === undefined || !sameRange(known.record, record)) this.#checkPorts(record);
      const container = known ?? this.world.make(record, this.#installation);
      container.record = record;
      this.world.containers.set(record.name, container);
      this.#boot(container);
    });
  }

  start(name: string): Promise<void> {
    return this.#run('start', name, () => {
      const container = this.#find(name);
      if (!container.running) this.#boot(container);
    });
  }

  stop(name: string, _graceSeconds: number): Promise<void> {
    return this.#run('stop', name, () => {
      const container = this.#find(name);
      if (!container.running) return;
      container.halt();
      this.world.emit({ container: name, what: 'died' });
    });
  }

  remove(name: string): Promise<void> {
    return this.#run('remove', name, () => {
      const container = this.world.containers.get(name);
      if (container === undefined || container.installation !== this.#installation) return;
      if (container.running) throw new BunkhouseError('CONFLICT', `${name} still runs: stop it before it is removed`);
      this.world.containers.delete(name);
      this.world.emit({ container: name, what: 'removed' });
    });
  }

  connect(name: string): Promise<Agent> {
    return this.#run('connect', name, () => {
      this.#find(name).changes();
      return new MemoryAgent(this.world, name);
    });
  }

  portsInUse(basePort: number, count: number): Promise<readonly number[]> {
    return this.#run('portsInUse', '', () => this.#taken(basePort, count));
  }

  watch(onEvent: (event: DriverEvent) => void, signal: AbortSignal): void {
    this.world.listen(onEvent, signal);
  }

  /** The world goes on. */
  async close(): Promise<void> {}

  // Private

  #run<T>(
    method: Exclude<keyof Driver, 'name' | 'bindHost' | 'watch' | 'close'>,
    target: string,
    work: () => T,
  ): Promise<T> {
    return this.world.faults.run(method, target, work);
  }

  *#own(): Iterable<MemoryContainer> {
    for (const container of this.world.containers.values()) {
      if (container.installation === this.#installation) yield container;
    }
  }

  #find(name: string): MemoryContainer {
    const container = this.world.containers.get(name);
    if (container?.installation === this.#installation) return container;
    throw new BunkhouseError('NOT_FOUND', `there is no container ${name}`);
  }

  #boot(container: MemoryContainer): void {
    container.boot();
    this.world.emit({ container: container.record.name, what: 'started' });
  }

  #taken(basePort: number, count: number): readonly number[] {
    return [...this.world.foreignPorts]
      .filter((port) => port >= basePort && port < basePort + count)
      .sort((a, b) => a - b);
  }

  #checkPorts(record: ContainerRecord): void {
    const ports = this.#taken(record.basePort, record.capacity);
    if (ports.length === 0) return;
    throw new BunkhouseError('PORT_IN_USE', `ports ${ports.join(', ')} are in use by another program`, {
      details: { ports },
    });
  }
}

function observe({ record, running, unreadable }: MemoryContainer): ContainerObservation {
  const { name, pool, generation, capacity, basePort } = record;
  const status = unreadable !== null ? 'unknown' : running ? 'running' : 'stopped';
  return { name, pool, generation, capacity, basePort, host: HOST, status, reason: unreadable ?? '' };
}
