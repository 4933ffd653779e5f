import type { WaitResult } from '../../domain/agent.ts';
import type { Clock } from '../../util/clock.ts';

interface Waiter {
  readonly settle: () => void;
  readonly fail: (error: Error) => void;
}

/** What changed in one life of a container, and who waits to hear of it. */
export class Waiters {
  readonly incarnation: string;
  readonly #clock: Clock;
  readonly #floor: number;
  readonly #latest = new Map<string, number>();
  readonly #waiting = new Set<Waiter>();
  #cursor: number;
  #telling = false;

  /** `floor` is where cursors begin: beyond those of earlier lives. */
  constructor(clock: Clock, incarnation: string, floor: number) {
    this.#clock = clock;
    this.incarnation = incarnation;
    this.#floor = floor;
    this.#cursor = floor;
  }

  get cursor(): number {
    return this.#cursor;
  }

  touch(bot: string): void {
    this.#cursor += 1;
    this.#latest.set(bot, this.#cursor);
    if (this.#telling || this.#waiting.size === 0) return;
    this.#telling = true;
    // One answer for all changes of one turn.
    queueMicrotask(() => {
      this.#telling = false;
      for (const waiter of [...this.#waiting]) waiter.settle();
    });
  }

  wait(cursor: number, seconds: number, signal: AbortSignal): Promise<WaitResult> {
    if (cursor !== this.#cursor) return Promise.resolve(this.#answer(cursor));
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        cancel();
        this.#waiting.delete(waiter);
        signal.removeEventListener('abort', abort);
      };
      const waiter: Waiter = {
        settle: () => {
          finish();
          resolve(this.#answer(cursor));
        },
        fail: (error) => {
          finish();
          reject(error);
        },
      };
      const abort = (): void => waiter.fail(signal.reason);
      const cancel = this.#clock.after(seconds * 1000, () => waiter.settle());
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  /** Ends all waiting: the container is gone. */
  fail(error: Error): void {
    for (const waiter of [...this.#waiting]) waiter.fail(error);
  }

  /** A cursor that is none of ours gets everything. */
  #answer(cursor: number): WaitResult {
    const since = cursor >= this.#floor && cursor <= this.#cursor ? cursor : 0;
    const changed = [...this.#latest].filter(([, at]) => at > since).map(([bot]) => bot);
    return { incarnation: this.incarnation, cursor: this.#cursor, changed };
  }
}
