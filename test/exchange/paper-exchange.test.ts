import { afterEach, describe, expect, it } from 'vitest';
import { type PaperExchange, startPaperExchange } from '../fixtures/exchange/server.ts';

const NOON = Date.UTC(2026, 0, 1, 12, 0, 30);
const open: PaperExchange[] = [];

async function exchangeAt(time: number): Promise<PaperExchange> {
  const exchange = await startPaperExchange({ host: '127.0.0.1', port: 0, now: () => time });
  open.push(exchange);
  return exchange;
}

async function get(
  exchange: PaperExchange,
  path: string,
): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(`${exchange.url}/${path}`);
  return { status: response.status, body: await response.json(), headers: response.headers };
}

const candles = async (exchange: PaperExchange, query: string): Promise<(string | number)[][]> =>
  (await get(exchange, `klines?symbol=BTCUSDT&interval=1m&${query}`)).body as (string | number)[][];

afterEach(async () => {
  await Promise.all(open.splice(0).map((exchange) => exchange.close()));
});

describe('the paper exchange', () => {
  it('tells the requests of a client with an address of its own from those of others', async () => {
    const exchange = await exchangeAt(NOON);
    for (const url of [exchange.urlFor('one'), exchange.urlFor('one'), exchange.urlFor('two'), exchange.url]) {
      expect((await fetch(`${url}/ping`)).status).toBe(200);
    }
    const counted = (client?: string): number | undefined => exchange.requests(client)['/api/v3/ping'];
    expect([counted('one'), counted('two'), counted('three'), counted()]).toEqual([2, 1, undefined, 4]);
  });

  it('gives the same candles for the same time, whoever asks', async () => {
    const [one, other] = [await exchangeAt(NOON), await exchangeAt(NOON)];
    expect(await candles(one, 'limit=50')).toEqual(await candles(other, 'limit=50'));
  });

  it('answers the latest candles, oldest first, each opening where the one before closed', async () => {
    const rows = await candles(await exchangeAt(NOON), 'limit=50');
    expect(rows).toHaveLength(50);
    expect(rows.at(-1)?.[0]).toBe(NOON - 30_000);
    for (const [index, row] of rows.slice(1).entries()) {
      expect(row[0]).toBe(Number(rows[index]?.[0]) + 60_000);
      expect(row[1]).toBe(rows[index]?.[4]);
    }
  });

  it('answers candles from a start on, up to now and no further', async () => {
    const rows = await candles(await exchangeAt(NOON), `startTime=${NOON - 100_000}`);
    expect(rows.map((row) => NOON - Number(row[0]))).toEqual([90_000, 30_000]);
  });

  it('never changes a candle that is closed', async () => {
    const before = (await candles(await exchangeAt(NOON), 'limit=2'))[0];
    const after = (await candles(await exchangeAt(NOON + 60_000), 'limit=3'))[0];
    expect(after).toEqual(before);
  });

  it('has a price between the best bid and the best ask, and the candle closes at it', async () => {
    const exchange = await exchangeAt(NOON);
    const book = (await get(exchange, 'depth?symbol=BTCUSDT&limit=5')).body as { bids: string[][]; asks: string[][] };
    const { price } = (await get(exchange, 'ticker/price?symbol=BTCUSDT')).body as { price: string };
    expect(Number(book.bids[0]?.[0])).toBeLessThan(Number(price));
    expect(Number(book.asks[0]?.[0])).toBeGreaterThan(Number(price));
    expect((await candles(exchange, 'limit=1'))[0]?.[4]).toBe(price);
  });

  it('refuses what the real one refuses, with its codes', async () => {
    const exchange = await exchangeAt(NOON);
    expect(await get(exchange, 'depth?symbol=NOUSDT')).toMatchObject({ status: 400, body: { code: -1121 } });
    expect(await get(exchange, 'klines?symbol=BTCUSDT&interval=7m')).toMatchObject({
      status: 400,
      body: { code: -1120 },
    });
    expect(await get(exchange, 'nothing')).toMatchObject({ status: 404 });
    expect((await fetch(`${exchange.url}/order`, { method: 'POST' })).status).toBe(405);
  });

  it('counts what it was asked', async () => {
    const exchange = await exchangeAt(NOON);
    await get(exchange, 'time');
    await get(exchange, 'time');
    expect(exchange.requests()).toEqual({ '/api/v3/time': 2 });
  });

  it('misbehaves when told to, and stops when told so', async () => {
    const exchange = await exchangeAt(NOON);
    exchange.setFault({ kind: 'outage' });
    await expect(get(exchange, 'time')).rejects.toThrow();
    exchange.setFault({ kind: 'rate-limit', retryAfterSeconds: 7 });
    const limited = await get(exchange, 'time');
    expect([limited.status, limited.headers.get('Retry-After')]).toEqual([429, '7']);
    exchange.setFault({ kind: 'slow', delayMs: 200 });
    const asked = performance.now();
    await get(exchange, 'time');
    expect(performance.now() - asked).toBeGreaterThan(190);
    exchange.setFault(null);
    expect((await get(exchange, 'time')).status).toBe(200);
  });
});
