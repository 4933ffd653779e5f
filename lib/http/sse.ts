import type { Clock } from '../util/clock.ts';

/** One Server-Sent Event. `data` becomes JSON. */
export interface SseMessage {
  readonly id?: string;
  readonly event?: string;
  readonly data: unknown;
}

export interface SseOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What to send as the last event when the source fails. */
  readonly onError: (error: unknown) => SseMessage;
}

/** Comment lines this often keep proxies and browsers from closing a quiet stream. */
const HEARTBEAT_MS = 15_000;

/**
 * The text of an event stream: a first comment at once, so that the reader knows it is connected, then the messages,
 * with a heartbeat in between. Pulled by the reader: a slow one holds up only its own source.
 */
export async function* sseText(
  source: AsyncIterable<SseMessage>,
  { clock, signal, onError }: SseOptions,
): AsyncGenerator<string> {
  yield 'retry: 2000\n: connected\n\n';
  const messages = source[Symbol.asyncIterator]();
  try {
    let pending = messages.next();
    while (!signal.aborted) {
      const next = await orHeartbeat(pending, clock);
      if (next === 'heartbeat') {
        yield ': heartbeat\n\n';
        continue;
      }
      if (next.done === true) return;
      yield format(next.value);
      pending = messages.next();
    }
  } catch (error) {
    yield format(onError(error));
  }
}

async function orHeartbeat<T>(pending: Promise<T>, clock: Clock): Promise<T | 'heartbeat'> {
  const stop = new AbortController();
  const beat = clock.sleep(HEARTBEAT_MS, stop.signal).then((): 'heartbeat' => 'heartbeat');
  try {
    return await Promise.race([pending, beat]);
  } finally {
    stop.abort();
  }
}

function format({ id, event, data }: SseMessage): string {
  const lines = [
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(event === undefined ? [] : [`event: ${event}`]),
    `data: ${JSON.stringify(data)}`,
  ];
  return `${lines.join('\n')}\n\n`;
}
