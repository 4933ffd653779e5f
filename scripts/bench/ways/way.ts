import type Docker from 'dockerode';
import type { PaperExchange } from '../../../test/fixtures/exchange/server.ts';

export const WAYS = ['container', 'exec', 'prefork', 'merge', 'pm2', 'process-exec', 'process-prefork'] as const;
export type WayKind = (typeof WAYS)[number];

/** A bot computes anew, and so rewrites memory, with each new candle. */
export const TIMEFRAMES = ['1m', '5m'] as const;
export type Timeframe = (typeof TIMEFRAMES)[number];

/** What all ways of one run stand on. */
export interface Ground {
  readonly exchange: PaperExchange;
  /** Of the candles that its bots trade on. */
  readonly timeframe: Timeframe;
  /** Null when there is no engine, or not the image. */
  readonly engine: Docker | null;
  readonly signal: AbortSignal;
}

/** Living processes of a way, with the host's pids. */
export interface Census {
  readonly bots: ReadonlyMap<string, number>;
  /** All else that is there because of the bots: supervisords, zygotes, shims, proxies of ports, daemons. */
  readonly keepers: readonly number[];
}

/** One way to keep FreqTrade bots running that a user could choose. */
export interface Way {
  readonly name: string;
  /** What a reader must know to judge the figures. */
  readonly note: string;
  /** Asks for bots that are not there yet, all at once. */
  start(ids: readonly string[]): Promise<void>;
  /** Where the bot's own API listens on this host, as soon as that is decided. */
  port(id: string): Promise<number>;
  /** GET of `/api/v1/PATH` of a bot, with its credentials. Rejects unless it is answered with 200. */
  ask<T>(id: string, path: string): Promise<T>;
  census(): Promise<Census>;
  /** Throws, with the reason, when bots are not kept the way the name says. */
  verify(): Promise<void>;
  /** Resolves when nothing is left of them. */
  stop(ids: readonly string[]): Promise<void>;
  /** Pid of Bunkhouse's own process, which is no keeper because one serves all pools; null: there is none. */
  readonly supervisor: number | null;
  close(): Promise<void>;
}
