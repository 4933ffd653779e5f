import type { Backoff, HealthCheck } from '../domain/template.ts';
import type { BotHealth, Hold } from '../planner/world.ts';
import type { Address } from '../probes/probe.ts';
import { backoffMs } from '../util/backoff.ts';
import { Semaphore } from '../util/semaphore.ts';
import type { Dependencies } from './dependencies.ts';

/** One life of a bot's process that is ready and so can be asked. */
export interface CheckTarget {
  readonly bot: string;
  /** Seconds since the epoch, as observed: tells this life from the next. */
  readonly startedAt: number;
  readonly address: Address;
  readonly checks: readonly HealthCheck[];
  /** Why it cannot be checked at all; empty when it can. */
  readonly fault: string;
  readonly everySeconds: number;
  readonly failureThreshold: number;
  readonly backoff: Backoff;
}

interface Watched {
  target: CheckTarget;
  cancel: () => void;
}

interface Restarts extends Hold {
  readonly count: number;
}

/** Checks under way at the same time. */
const WIDTH = 32;

/**
 * Asks ready bots whether they are well and who they are: at once when a process became ready, then at its template's
 * pace, sooner after a failure. Counts the restarts ordered for unhealthy bots, so that they come at growing distances.
 */
export class PoolHealthMonitor {
  readonly #deps: Pick<Dependencies, 'clock' | 'random' | 'prober'>;
  readonly #onChange: () => void;
  readonly #watched = new Map<string, Watched>();
  readonly #health = new Map<string, BotHealth>();
  readonly #restarts = new Map<string, Restarts>();
  readonly #underway = new Set<Promise<void>>();
  readonly #semaphore = new Semaphore(WIDTH);
  #closed = false;

  constructor(deps: Pick<Dependencies, 'clock' | 'random' | 'prober'>, onChange: () => void) {
    this.#deps = deps;
    this.#onChange = onChange;
  }

  get health(): ReadonlyMap<string, BotHealth> {
    return this.#health;
  }

  get restartHolds(): ReadonlyMap<string, Hold> {
    return this.#restarts;
  }

  /** Watches these from now on, and of the others only those that cannot be seen just now. */
  track(targets: readonly CheckTarget[], isUnseen: (bot: string) => boolean): void {
    const wanted = new Set(targets.map((target) => target.bot));
    for (const bot of this.#watched.keys()) if (!wanted.has(bot) && !isUnseen(bot)) this.#unwatch(bot);
    for (const target of targets) this.#watch(target);
  }

  /** Checks everybody now, and waits for it. */
  async checkAll(): Promise<void> {
    await Promise.all([...this.#watched.values()].map((watched) => this.#begin(watched)));
  }

  /** An unhealthy bot was restarted: not again before its backoff has passed. */
  noteRestart(bot: string, backoff: Backoff): void {
    const count = (this.#restarts.get(bot)?.count ?? 0) + 1;
    const limits = { minMs: backoff.minSeconds * 1000, maxMs: backoff.maxSeconds * 1000 };
    const delay = backoffMs(count, limits, this.#deps.random());
    this.#restarts.set(bot, {
      count,
      until: this.#deps.clock.monotonic() + delay,
      reason: `restarted ${count} times already, next in ${Math.ceil(delay / 1000)} s at the earliest`,
    });
  }

  /** Drops what is known of bots that exist no more. */
  forget(exists: (bot: string) => boolean): void {
    for (const bot of this.#restarts.keys()) if (!exists(bot)) this.#restarts.delete(bot);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const bot of [...this.#watched.keys()]) this.#unwatch(bot);
    await Promise.all(this.#underway);
  }

  // Private

  #watch(target: CheckTarget): void {
    const known = this.#watched.get(target.bot);
    if (known?.target.startedAt === target.startedAt) {
      known.target = target;
      return;
    }
    this.#unwatch(target.bot);
    const watched: Watched = { target, cancel: () => {} };
    this.#watched.set(target.bot, watched);
    this.#health.set(target.bot, { startedAt: target.startedAt, passed: false, failures: 0, reason: target.fault });
    void this.#begin(watched);
  }

  #unwatch(bot: string): void {
    this.#watched.get(bot)?.cancel();
    this.#watched.delete(bot);
    this.#health.delete(bot);
  }

  #begin(watched: Watched): Promise<void> {
    watched.cancel();
    const check = this.#semaphore.run(() => this.#check(watched)).finally(() => this.#underway.delete(check));
    this.#underway.add(check);
    return check;
  }

  async #check(watched: Watched): Promise<void> {
    const isCurrent = (): boolean => !this.#closed && this.#watched.get(watched.target.bot) === watched;
    if (!isCurrent() || watched.target.fault !== '') return;
    const { bot, address, checks } = watched.target;
    const { ok, reason } = await this.#deps.prober.check(address, checks);
    const before = this.#health.get(bot);
    if (!isCurrent() || before === undefined) return;
    const after: BotHealth = {
      startedAt: before.startedAt,
      passed: before.passed || ok,
      failures: ok ? 0 : before.failures + 1,
      reason,
    };
    this.#health.set(bot, after);
    watched.cancel();
    watched.cancel = this.#deps.clock.after(pauseMs(watched.target, after), () => void this.#begin(watched));
    if (ok) this.#forgiveRestarts(watched.target);
    if (isNews(before, after, watched.target.failureThreshold)) this.#onChange();
  }

  #forgiveRestarts(target: CheckTarget): void {
    const lived = this.#deps.clock.now() / 1000 - target.startedAt;
    if (lived >= target.backoff.healthySeconds) this.#restarts.delete(target.bot);
  }
}

/** Whether the planner would decide otherwise than before, or people would read something else. */
function isNews(before: BotHealth, after: BotHealth, threshold: number): boolean {
  if (before.reason !== after.reason) return true;
  return before.passed !== after.passed || before.failures >= threshold !== after.failures >= threshold;
}

/** A failed bot is asked again soon: 1 s, 2 s, 4 s … up to the usual pace. */
function pauseMs(target: CheckTarget, { failures }: BotHealth): number {
  const usual = target.everySeconds * 1000;
  return failures === 0 ? usual : Math.min(usual, 1000 * 2 ** Math.min(failures - 1, 10));
}
