import type { ContainerRecord } from '../../domain/container.ts';
import type { Clock } from '../../util/clock.ts';
import type { DriverEvent } from '../driver.ts';
import { type Behaviour, WELL_BEHAVED } from './behaviour.ts';
import { MemoryContainer } from './container.ts';
import { Faults } from './faults.ts';
import type { ForeignBox } from './foreign-box.ts';

/**
 * The make-believe machine: it goes on while the orchestrator dies and comes back as a new MemoryDriver on the same world.
 * Its public fields and methods are the knobs of tests.
 */
export class MemoryWorld {
  readonly clock: Clock;
  readonly faults: Faults;
  readonly containers = new Map<string, MemoryContainer>();
  /** Ports that a program outside the pool holds. */
  readonly foreignPorts = new Set<number>();
  /** Containers that nobody of ours made, by id. */
  readonly foreign = new Map<string, ForeignBox>();
  /** How bots behave that `behaviours` does not name: by `BOT`, or by `BOT@CONTAINER` for one place only. */
  behaviour: Behaviour = WELL_BEHAVED;
  readonly behaviours = new Map<string, Partial<Behaviour>>();
  /** Why no bot can be forked; empty when they can. */
  zygoteTrouble = '';
  readonly #listeners = new Set<(event: DriverEvent) => void>();
  readonly #random: () => number;
  #pid = 1000;

  constructor(clock: Clock, random: () => number = Math.random) {
    this.clock = clock;
    this.faults = new Faults(clock);
    this.#random = random;
  }

  /** Its supervisord is killed; the bots die with it. */
  killContainer(name: string): void {
    this.containers.get(name)?.halt();
    this.emit({ container: name, what: 'died' });
  }

  /** The container vanishes with its data, as if somebody had deleted it behind our back. */
  loseContainer(name: string): void {
    this.containers.get(name)?.halt();
    this.containers.delete(name);
    this.emit({ container: name, what: 'removed' });
  }

  /** A process dies; by default of SIGKILL. */
  killBot(bot: string, how: { readonly code?: number; readonly signal?: string } = { signal: 'SIGKILL' }): void {
    for (const container of this.containers.values()) container.bot(bot)?.die(how.code ?? null, how.signal ?? null);
  }

  /** The same to a service of a container. */
  killService(container: string, service: string): void {
    this.containers.get(container)?.service(service)?.die(null, 'SIGKILL');
  }

  startForeign(box: ForeignBox): void {
    box.alive = true;
    box.startedAt = this.clock.now();
    box.starts += 1;
  }

  make(record: ContainerRecord, installation: string): MemoryContainer {
    return new MemoryContainer(record, installation, {
      clock: this.clock,
      random: this.#random,
      behaviourOf: (bot) => ({
        ...this.behaviour,
        ...this.behaviours.get(bot),
        ...this.behaviours.get(`${bot}@${record.name}`),
      }),
      nextPid: () => ++this.#pid,
      zygoteTrouble: () => this.zygoteTrouble,
    });
  }

  emit(event: DriverEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  listen(listener: (event: DriverEvent) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  /** Ends everything in it, so that no timer is left. */
  close(): void {
    for (const container of this.containers.values()) container.halt();
  }
}
