import type { Clock } from '../../util/clock.ts';
import type { DriverEvent } from '../driver.ts';

type Listener = (event: DriverEvent) => void;

const LOOK_EVERY_MS = 5_000;

/**
 * Who is told of changes, and which adopted supervisords are looked at. The death of a supervisord that this process
 * started is an event; one adopted from an earlier life of ours is not our child, and Linux tells Node nothing of its
 * death, so those (and only those) are looked at every five seconds. Usually the broken long poll to its agent is faster.
 */
export class Watchers {
  readonly #clock: Clock;
  readonly #isAlive: (container: string, pid: number) => Promise<boolean>;
  readonly #listeners = new Set<Listener>();
  readonly #adopted = new Map<string, number>();
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, isAlive: (container: string, pid: number) => Promise<boolean>) {
    this.#clock = clock;
    this.#isAlive = isAlive;
  }

  add(listener: Listener, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
    this.#arm();
  }

  emit(event: DriverEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  adopt(container: string, pid: number): void {
    this.#adopted.set(container, pid);
    this.#arm();
  }

  forget(container: string): void {
    this.#adopted.delete(container);
  }

  close(): void {
    this.#listeners.clear();
    this.#cancel?.();
    this.#cancel = null;
  }

  #arm(): void {
    if (this.#cancel !== null || this.#listeners.size === 0 || this.#adopted.size === 0) return;
    this.#cancel = this.#clock.after(LOOK_EVERY_MS, () => {
      void this.#look().finally(() => {
        this.#cancel = null;
        this.#arm();
      });
    });
  }

  async #look(): Promise<void> {
    for (const [container, pid] of this.#adopted) {
      if (await this.#isAlive(container, pid)) continue;
      if (this.#adopted.get(container) !== pid) continue;
      this.#adopted.delete(container);
      this.emit({ container, what: 'died' });
    }
  }
}
