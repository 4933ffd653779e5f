import type { AloneSample, OpenLedger, Period, UsageEntry } from '../domain/usage.ts';

/**
 * Keeps usage. Content that is damaged is moved aside with a line in the log and counts as not there; every method throws
 * STORE_UNAVAILABLE when the disk does not do what it should, and has then changed nothing.
 */
export interface UsageStore {
  /** Null: there is none. */
  loadOpen(): Promise<OpenLedger | null>;
  /** In one step: readings and usage belong together. */
  saveOpen(ledger: OpenLedger): Promise<void>;
  /** Empty when there is none. */
  load(period: Period): Promise<readonly UsageEntry[]>;
  save(period: Period, entries: readonly UsageEntry[]): Promise<void>;
  /** Those saved, in order: hours, and days that took in theirs. */
  periods(): Promise<readonly Period[]>;
  /** Puts the hours of each day that ended before (ms since the epoch) into one. Can be broken off anywhere. */
  rollUp(before: number): Promise<void>;
}

/** Keeps samples of single bots; damage and errors as with usage. */
export interface AloneStore {
  loadAlone(): Promise<readonly AloneSample[]>;
  saveAlone(samples: readonly AloneSample[]): Promise<void>;
}
