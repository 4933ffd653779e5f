import type { Client } from '../../lib/cli/client.ts';
import type { Config } from '../../lib/config/settings.ts';
import { freqtradeDemo } from './demo-freqtrade.ts';
import { wordpressDemo } from './demo-wordpress.ts';
import type { Steps } from './steps.ts';

/** A workload that `scripts/up --demo` shows. */
export interface Demo {
  /** Settings where the environment does not say otherwise. */
  settings(count: number): Readonly<Record<string, string>>;
  /** Starts what has to be there before the supervisor. */
  prepare(config: Config, steps: Steps): Promise<Helper>;
  /** Has so many bots, and says of each when it is ready; true: all are. */
  fill(client: Client, config: Config, options: FillOptions): Promise<boolean>;
  /** Commands with which to look at it. */
  readonly look: (by: LookBy) => readonly string[];
}

/** A program beside the supervisor. `own`: this process runs it; otherwise another demo does. */
export interface Helper {
  readonly own: boolean;
  close(): Promise<void>;
}

export interface FillOptions {
  readonly count: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly steps: Steps;
}

export interface LookBy {
  /** curl with the administrator's token, up to the path. */
  readonly curl: string;
  /** The command line, and the options that name this supervisor. */
  readonly bunkhouse: string;
  readonly where: string;
}

export const DEMOS: Readonly<Record<string, Demo>> = { freqtrade: freqtradeDemo, wordpress: wordpressDemo };
