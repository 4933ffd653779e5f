import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/logger.ts';
import { type Connection, Refusal } from './connection.ts';
import type { Keys } from './location.ts';
import { ACQUIRE, RELEASE, RENEW } from './scripts.ts';

/** Longest time between two looks of a standby: so soon after a leader ended in order, the next one leads. */
const LOOK_MS = 1000;
const RETRY_MS = 200;

export interface LeaseOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  /** Names this process among all; shown to those who wait. */
  readonly owner: string;
  readonly ms: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called once when somebody else leads and this process waits. */
  readonly onStandby: (leader: string) => void;
}

/** The right to write, renewed until it is released or lost. */
export class Lease {
  /** Grows with every leader. */
  readonly fence: number;
  /** Resolves when another process leads, or may. */
  readonly lost: Promise<BunkhouseError>;
  readonly #options: LeaseOptions;
  readonly #lose: (reason: BunkhouseError) => void;
  readonly #closing = new AbortController();
  /** By our monotonic clock. The server counts from later on, so the lease lives at least as long. */
  #heldUntil: number;
  #loss: BunkhouseError | null = null;
  #renewing: Promise<void> = Promise.resolve();

  /** Waits until this process leads. */
  static async acquire(options: LeaseOptions): Promise<Lease> {
    const { clock, onStandby, ms } = options;
    let announced = false;
    for (;;) {
      const asked = clock.monotonic();
      const answer = await tryAcquire(options);
      if (answer.kind === 'leader') return new Lease(options, answer.fence, asked + ms);
      if (!announced && answer.leader !== null) onStandby(answer.leader);
      announced ||= answer.leader !== null;
      await clock.sleep(answer.waitMs);
    }
  }

  private constructor(options: LeaseOptions, fence: number, heldUntil: number) {
    const { promise, resolve } = Promise.withResolvers<BunkhouseError>();
    this.#options = options;
    this.fence = fence;
    this.#heldUntil = heldUntil;
    this.lost = promise;
    this.#lose = resolve;
    this.#renewing = this.#renewForEver();
  }

  get owner(): string {
    return this.#options.owner;
  }

  /** Whether nobody else can lead yet. */
  get isHeld(): boolean {
    return this.#loss === null && this.#options.clock.monotonic() < this.#heldUntil;
  }

  /** From now on nothing may be written by this process. Returns why: the first reason counts. */
  lose(why: string): BunkhouseError {
    const next = 'This process ends, and the next one reads everything anew.';
    this.#loss ??= new BunkhouseError('STORE_UNAVAILABLE', `The lead over the state is lost: ${why}. ${next}`, {
      retryAfterSeconds: 5,
    });
    this.#lose(this.#loss);
    this.#closing.abort();
    return this.#loss;
  }

  /** Throws why when the lease is lost. */
  check(): void {
    if (this.#loss !== null) throw this.#loss;
  }

  /** Lets the next one lead at once. */
  async release(): Promise<void> {
    const { connection, keys, owner, log } = this.#options;
    this.#closing.abort();
    await this.#renewing;
    if (this.#loss !== null) return;
    await connection.run(RELEASE, [keys.lease], [owner]).catch((error: unknown) => {
      log.warn({ error: messageOf(error) }, 'the lead could not be given up; the next one waits until it runs out');
    });
  }

  // Private

  async #renewForEver(): Promise<void> {
    const { clock, ms } = this.#options;
    const { signal } = this.#closing;
    let rest = ms / 3;
    while (!signal.aborted) {
      await clock.sleep(rest, signal);
      if (signal.aborted) return;
      // A process that was stopped finds its lease over, but perhaps nobody took it: it asks first.
      const { isHeld } = this;
      const answered = await this.#renew();
      if (!answered && !isHeld) this.lose('the server did not answer for as long as the lease is');
      rest = answered ? ms / 3 : RETRY_MS;
    }
  }

  /** False: the server did not say. */
  async #renew(): Promise<boolean> {
    const { connection, keys, owner, ms, clock, log } = this.#options;
    const asked = clock.monotonic();
    try {
      const renewed = await connection.run(RENEW, [keys.lease, keys.fence], [owner, String(ms)]);
      if (renewed === 1) this.#heldUntil = asked + ms;
      else this.lose('another process has taken over');
      return true;
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the lead over the state could not be renewed');
      return false;
    }
  }
}

// Private

type Answer =
  | { readonly kind: 'leader'; readonly fence: number }
  | { readonly kind: 'standby'; readonly leader: string | null; readonly waitMs: number };

/** While it waits, a server that does not answer is waited for as well. */
async function tryAcquire({ connection, keys, owner, ms, log }: LeaseOptions): Promise<Answer> {
  try {
    const [fence, leader, left] = (await connection.run(ACQUIRE, [keys.lease, keys.fence], [owner, String(ms)])) as [
      number,
      string?,
      number?,
    ];
    if (fence !== 0) return { kind: 'leader', fence };
    return { kind: 'standby', leader: leader ?? null, waitMs: Math.min(Math.max(Number(left), 10), LOOK_MS) };
  } catch (error) {
    if (error instanceof Refusal) throw refused(error);
    log.warn({ error: messageOf(error) }, 'the server of the state does not answer');
    return { kind: 'standby', leader: null, waitMs: RETRY_MS };
  }
}

function refused(error: Refusal): BunkhouseError {
  const message = `The server of the state refuses: ${error.message}. See to it, and to the rights of the user in STATE_URL.`;
  return new BunkhouseError('STORE_UNAVAILABLE', message, { cause: error, retryAfterSeconds: 5 });
}
