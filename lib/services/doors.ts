import { hostOf } from '../domain/hosts.ts';
import type { State } from '../domain/state.ts';
import { isMember } from '../planner/reserve.ts';
import type { CheckResult } from '../probes/probe.ts';
import { backoffMs } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import { Semaphore } from '../util/semaphore.ts';
import type { Front } from './front.ts';
import { Stalls } from './stalls.ts';

export interface DoorsOptions {
  readonly front: Front;
  readonly baseDomain: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Asks for a pass. */
  readonly request: () => void;
}

/** The front may have forgotten all: it is looked at so often. */
const LOOK_MS = 10_000;
/** Names often come several at a time, and every change has the front begin anew with certificates that are under way. */
const SETTLE_MS = 250;
/** A certificate that was seen is believed in for so long. */
const BELIEVED_MS = 3_600_000;
const RETRY = { minMs: 500, maxMs: 60_000 };
/** Handshakes at a time. */
const WIDTH = 8;
const WAITS = 'waits for its certificate';

/**
 * Has the front serve the bots' host names, and finds out which of them callers really get in by. One name that gets no
 * certificate holds up nobody but its own bot.
 */
export class Doors {
  readonly #options: DoorsOptions;
  readonly #abort = new AbortController();
  readonly #places = new Semaphore(WIDTH);
  readonly #seenAt = new Map<string, number>();
  /** Of names being tried now: why they are shut. */
  readonly #trying = new Map<string, string>();
  readonly #stalls = new Stalls();
  #bots: State['bots'] | null = null;
  #hosts: readonly string[] = [];
  #key = '';
  #served: ReadonlySet<string> = new Set();
  #awaited: ReadonlySet<string> = new Set();
  #changed = new AbortController();
  #trouble = '';
  #following: Promise<void> | null = null;

  constructor(options: DoorsOptions) {
    this.#options = options;
  }

  /** Why bots that warm up, or were handed out before they were ready, cannot be reached by their host names yet, by bot. */
  shut(state: State): ReadonlyMap<string, string> {
    const asked = state.bots.records.filter(
      (bot) => isMember(bot) && (bot.reserve.phase === 'warming' || bot.reserve.phase === 'assigned'),
    );
    return new Map(
      asked.flatMap(({ instanceId }) => {
        const host = hostOf(instanceId, this.#options.baseDomain);
        return host === null || this.#isOpen(host) ? [] : [[instanceId, this.#reasonOf(host)] as const];
      }),
    );
  }

  /** Follows what bots there are. Returns at once; what takes time goes on beside. */
  follow(state: State): void {
    if (state.bots !== this.#bots) this.#take(state.bots);
    this.#awaited = new Set([...this.shut(state).keys()].flatMap((bot) => hostOf(bot, this.#options.baseDomain) ?? []));
    this.#following ??= this.#serveForEver();
    for (const host of this.#awaited) if (!this.#trying.has(host)) void this.#try(host);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#changed.abort();
    await this.#following;
  }

  // Private

  #take(bots: State['bots']): void {
    this.#bots = bots;
    const named = bots.records.filter(({ deleting }) => !deleting);
    const hosts = named.flatMap(({ instanceId }) => hostOf(instanceId, this.#options.baseDomain) ?? []);
    // Most changes of bots, such as a lease, change no name.
    const key = hosts.join();
    if (key === this.#key) return;
    this.#key = key;
    this.#hosts = hosts.sort();
    const present = new Set(hosts);
    for (const host of this.#seenAt.keys()) if (!present.has(host)) this.#seenAt.delete(host);
    this.#changed.abort();
  }

  #isOpen(host: string): boolean {
    const { clock } = this.#options;
    return clock.monotonic() - (this.#seenAt.get(host) ?? Number.NEGATIVE_INFINITY) < BELIEVED_MS;
  }

  #reasonOf(host: string): string {
    return this.#trouble || (this.#trying.get(host) ?? WAITS);
  }

  async #serveForEver(): Promise<void> {
    const { front, clock, log, random } = this.#options;
    while (!this.#abort.signal.aborted) {
      await clock.sleep(SETTLE_MS, this.#abort.signal);
      this.#changed = new AbortController();
      const hosts = this.#hosts;
      const { ok, reason } = await front.serve(hosts);
      if (ok) this.#served = new Set(hosts);
      if (this.#stalls.due(this.#uncertified(), clock.monotonic(), random())) await front.retry();
      if (reason !== '' && reason !== this.#trouble) log.warn({ reason }, 'the front does not serve the bots');
      if (reason === '' && this.#trouble !== '') log.info({}, 'the front serves the bots again');
      this.#trouble = reason;
      const either = AbortSignal.any([this.#changed.signal, this.#abort.signal]);
      await clock.sleep(LOOK_MS, either);
    }
  }

  #uncertified(): ReadonlySet<string> {
    return new Set([...this.#awaited].filter((host) => this.#served.has(host)));
  }

  /** A certificate for many names says nothing of one that does not lead here yet. */
  async #check(host: string): Promise<CheckResult> {
    return this.#served.has(host) ? this.#options.front.check(host) : { ok: false, reason: WAITS };
  }

  /** Until its certificate is seen, or nobody waits for it any more. */
  async #try(host: string): Promise<void> {
    const { clock, random, request } = this.#options;
    this.#trying.set(host, WAITS);
    for (let failures = 0; this.#awaited.has(host) && !this.#abort.signal.aborted; ) {
      const { ok, reason } = await this.#places.run(() => this.#check(host));
      if (ok) {
        this.#seenAt.set(host, clock.monotonic());
        break;
      }
      this.#trying.set(host, reason);
      failures += 1;
      await clock.sleep(backoffMs(failures, RETRY, random()), this.#abort.signal);
    }
    this.#trying.delete(host);
    if (!this.#abort.signal.aborted) request();
  }
}
