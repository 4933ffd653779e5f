import { BunkhouseError } from '../domain/errors.ts';
import { dayOf, endOf, hourOf, type Period, startOf, Tally, type UsageEntry } from '../domain/usage.ts';
import type { World } from '../planner/world.ts';
import type { UsageStore } from '../store/usage-store.ts';
import type { Clock } from '../util/clock.ts';
import { KeyedMutex } from '../util/keyed-mutex.ts';
import type { Writer } from './regular-writes.ts';
import { type MeterOptions, UsageMeter } from './usage-meter.ts';

export interface LedgerOptions {
  readonly store: UsageStore;
  readonly clock: Clock;
  readonly onUsage: MeterOptions['onUsage'];
}

/** What was used in some periods, and when the first begins and the last ends (ms since the epoch). */
export interface Account {
  readonly from: number;
  readonly to: number;
  readonly entries: readonly UsageEntry[];
}

/** Days for which each hour is kept on its own. */
const HOURLY_DAYS = 35;
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Durable usage of all bots. What changes is in memory and in one file that is replaced as a whole, so that usage and the
 * readings it reaches to never differ; an hour that is over gets a file of its own.
 */
export class UsageLedger implements Writer {
  readonly what = 'usage';
  readonly #options: LedgerOptions;
  /** Periods in memory that hold all of their usage, not only what came since. */
  readonly #whole = new Set<Period>();
  readonly #mutex = new KeyedMutex();
  #meter: UsageMeter | null = null;
  #rolledUp: Period = '';

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Goes on from what is kept. Until it could be read nothing is counted: that is caught up on from then. */
  async load(): Promise<void> {
    const { store, onUsage } = this.#options;
    const kept = await store.loadOpen();
    const open = kept ?? { readings: new Map(), periods: new Map() };
    // Without readings, all hours that are over were counted and no other.
    const last = kept === null ? (await store.periods()).at(-1) : undefined;
    const countFrom = last === undefined ? Number.NEGATIVE_INFINITY : endOf(last);
    for (const period of open.periods.keys()) this.#whole.add(period);
    this.#meter = new UsageMeter({ open, countFrom, onUsage });
  }

  observe(world: World): void {
    this.#meter?.read(world, this.#options.clock.monotonic());
  }

  /** Makes everything counted so far durable. Throws STORE_UNAVAILABLE; then it is still there to be written. */
  async write(): Promise<void> {
    if (this.#meter === null) await this.load();
    const meter = this.#counting();
    const { store, clock } = this.#options;
    for (const period of meter.periods.keys()) await this.#complete(meter, period);
    await store.saveOpen(meter.open);
    const over = [...meter.periods].filter(([period]) => endOf(period) <= clock.now());
    for (const [period, tally] of over) await this.#closePeriod(meter, period, tally);
    await this.#rollUp();
  }

  /** All periods that have a part between the two moments (ms since the epoch). Throws STORE_UNAVAILABLE. */
  async account(from: number, to: number): Promise<Account> {
    const meter = this.#counting();
    const kept = await this.#options.store.periods();
    const periods = [...new Set([...kept, ...meter.periods.keys()])].filter(
      (period) => endOf(period) > from && startOf(period) < to,
    );
    const sum = new Tally();
    for (const period of periods) for (const entry of await this.#entries(meter, period)) sum.add(entry);
    return {
      from: Math.min(startOf(hourOf(from)), ...periods.map(startOf)),
      to: Math.max(endOf(hourOf(to - 1)), ...periods.map(endOf)),
      entries: sum.entries,
    };
  }

  // Private

  #counting(): UsageMeter {
    if (this.#meter !== null) return this.#meter;
    throw new BunkhouseError('STORE_UNAVAILABLE', 'the usage kept so far cannot be read; the log says why');
  }

  async #entries(meter: UsageMeter, period: Period): Promise<readonly UsageEntry[]> {
    if (meter.periods.has(period)) await this.#complete(meter, period);
    return meter.periods.get(period)?.entries ?? this.#options.store.load(period);
  }

  /** Usage may come to an hour that was closed: when the clock was set back, or after a damaged file. */
  async #complete(meter: UsageMeter, period: Period): Promise<void> {
    await this.#mutex.run(period, async () => {
      if (this.#whole.has(period)) return;
      const kept = await this.#options.store.load(period);
      const tally = meter.tally(period);
      for (const entry of kept) tally.add(entry);
      this.#whole.add(period);
    });
  }

  /** What came while it was written keeps it open. */
  async #closePeriod(meter: UsageMeter, period: Period, tally: Tally): Promise<void> {
    const { additions } = tally;
    await this.#options.store.save(period, tally.entries);
    if (tally.additions !== additions) return;
    meter.drop(period);
    this.#whole.delete(period);
  }

  async #rollUp(): Promise<void> {
    const { store, clock } = this.#options;
    const before = clock.now() - HOURLY_DAYS * DAY_MS;
    const day = dayOf(hourOf(before));
    if (this.#rolledUp === day) return;
    await store.rollUp(startOf(day));
    this.#rolledUp = day;
  }
}
