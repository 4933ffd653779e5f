import { setTimeout as sleep } from 'node:timers/promises';
import { mapLimited } from '../../lib/util/limit.ts';
import type { PaperExchange } from '../../test/fixtures/exchange/server.ts';
import type { Ground, Way } from './ways/way.ts';

/** Signs that a bot trades: FreqTrade's last pass in seconds since the epoch, and candles it fetched from the exchange. */
export interface Signs {
  readonly beat: number;
  readonly candles: number;
}

interface Health {
  readonly last_process_ts: number | null;
}

const LOOK_EVERY_MS = 1000;

/** Whether it went on trading between the two. */
export function tradedOn(before: Signs, after: Signs): boolean {
  return after.beat > before.beat && after.candles > before.candles;
}

/** Resolves when every bot has made a pass and fetched candles. Rejects when one does not in time. */
export async function untilTrading(
  way: Way,
  ids: readonly string[],
  ground: Ground,
  { since, seconds }: { readonly since?: ReadonlyMap<string, Signs>; readonly seconds: number },
): Promise<ReadonlyMap<string, Signs>> {
  const deadline = performance.now() + seconds * 1000;
  const from = (id: string): Signs => since?.get(id) ?? { beat: 0, candles: 0 };
  for (;;) {
    const signs = await signsOf(way, ids, ground.exchange);
    const idle = ids.filter((id) => !tradedOn(from(id), signs.get(id) as Signs));
    if (idle.length === 0) return signs;
    if (performance.now() > deadline)
      throw new Error(`${way.name}: no trading within ${seconds} s by ${idle.map((id) => tell(id, signs)).join(', ')}`);
    await sleep(LOOK_EVERY_MS, undefined, { signal: ground.signal });
  }
}

// Private

async function signsOf(way: Way, ids: readonly string[], exchange: PaperExchange): Promise<ReadonlyMap<string, Signs>> {
  const signs = await mapLimited(ids, 8, async (id) => {
    const { last_process_ts } = await way.ask<Health>(id, 'health').catch(() => ({ last_process_ts: null }));
    return [id, { beat: last_process_ts ?? 0, candles: exchange.requests(id)['/api/v3/klines'] ?? 0 }] as const;
  });
  return new Map(signs);
}

function tell(id: string, signs: ReadonlyMap<string, Signs>): string {
  const { beat, candles } = signs.get(id) as Signs;
  return `${id} (last pass ${beat === 0 ? 'unknown' : new Date(beat * 1000).toISOString()}, ${candles} requests for candles)`;
}
