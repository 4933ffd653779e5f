/** What was used, in amounts that add up. */
export interface Usage {
  /** Seconds in which its process was alive. */
  readonly runningSeconds: number;
  /** Its part of the memory, times the seconds it had it. */
  readonly pssByteSeconds: number;
  readonly cpuSeconds: number;
}

/** Usage of one bot of one owner: an id may come back under another owner. */
export interface UsageEntry {
  readonly owner: string;
  readonly bot: string;
  readonly usage: Usage;
}

/** What was last seen of a bot: usage is counted up to here. */
export interface Reading {
  readonly owner: string;
  readonly container: string;
  /** Ms since the epoch. */
  readonly at: number;
  readonly restarts: number;
  /** Null: no process of it was alive. */
  readonly process: ProcessReading | null;
}

/** Pid and start tell one process from the next. */
export interface ProcessReading {
  readonly pid: number;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  /** Of its CPU time, what is counted already. */
  readonly cpuSeconds: number;
  /** Null: not sampled yet. */
  readonly pssBytes: number | null;
}

/** What must be kept together: usage of periods under way, and up to where it counts. */
export interface OpenLedger {
  /** By bot. */
  readonly readings: ReadonlyMap<string, Reading>;
  readonly periods: ReadonlyMap<Period, readonly UsageEntry[]>;
}

/** What one bot of a template was seen to cost in a container of its own, supervisord included. */
export interface AloneSample {
  readonly template: string;
  /** Of the template. */
  readonly version: string;
  readonly pssBytes: number;
  readonly container: string;
  /** ISO 8601. */
  readonly at: string;
}

/** An hour of UTC as `2026-05-01T10`, or a day as `2026-05-01`. */
export type Period = string;

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

/** The hour in which this moment (ms since the epoch) lies. */
export const hourOf = (at: number): Period => new Date(at).toISOString().slice(0, 13);

export const dayOf = (period: Period): Period => period.slice(0, 10);

export const isDay = (period: Period): boolean => period === dayOf(period);

export const startOf = (period: Period): number =>
  Date.parse(isDay(period) ? `${period}T00:00:00Z` : `${period}:00:00Z`);

/** First moment after it. */
export const endOf = (period: Period): number => startOf(period) + (isDay(period) ? DAY_MS : HOUR_MS);

/** Adds up what belongs to the same bot of the same owner. */
export class Tally {
  readonly #entries = new Map<string, UsageEntry>();
  #additions = 0;

  constructor(entries: readonly UsageEntry[] = []) {
    for (const entry of entries) this.add(entry);
  }

  get entries(): readonly UsageEntry[] {
    return [...this.#entries.values()];
  }

  /** Grows with everything that is added. */
  get additions(): number {
    return this.#additions;
  }

  add({ owner, bot, usage }: UsageEntry): void {
    const key = `${owner}/${bot}`;
    const before = this.#entries.get(key)?.usage;
    this.#entries.set(key, { owner, bot, usage: before === undefined ? usage : addUsage(before, usage) });
    this.#additions += 1;
  }
}

export const NO_USAGE: Usage = { runningSeconds: 0, pssByteSeconds: 0, cpuSeconds: 0 };

export function addUsage(one: Usage, other: Usage): Usage {
  return {
    runningSeconds: one.runningSeconds + other.runningSeconds,
    pssByteSeconds: one.pssByteSeconds + other.pssByteSeconds,
    cpuSeconds: one.cpuSeconds + other.cpuSeconds,
  };
}
