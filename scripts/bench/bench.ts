import type { Timeframe, WayKind } from './ways/way.ts';

/** One figure. `unit` x is a ratio; `note` says how it was measured. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: 's' | 'ms' | 'MiB' | 'MiB/s' | '/s' | 'x';
  readonly note: string;
}

export interface BenchOptions {
  readonly rounds: number;
  /** Sizes of fleets, one run each. */
  readonly bots: readonly number[];
  readonly settleSeconds: number;
  /** Of the candles that bots trade on where memory is measured. */
  readonly timeframe: Timeframe;
  readonly ways: readonly WayKind[];
  /** Whether kernel same-page merging may be switched on for the time of a measurement. */
  readonly allowKsm: boolean;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
  /** Aborted when the run is to end early: it cleans up and rejects. */
  readonly signal: AbortSignal;
}
