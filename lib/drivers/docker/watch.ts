import { backoffMs } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';
import type { DriverEvent } from '../driver.ts';
import { eventOf } from './observation.ts';

const RETRY = { minMs: 500, maxMs: 30_000 };
/** One watcher of an engine on the same machine: there is no crowd to be spread. */
const NO_JITTER = 0.5;
/** A stream that held so long was a good one: the next failure is a new story. */
const GOOD_MS = 60_000;

/** Opens the engine's event stream anew; a line each. It ends when `signal` aborts. */
export type OpenEvents = (signal: AbortSignal) => AsyncIterable<string>;

/** Calls back on every event until `signal` aborts; opens the stream again, with backoff, however it ends. */
export async function watchEvents(
  { clock, open }: { readonly clock: Clock; readonly open: OpenEvents },
  onEvent: (event: DriverEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const openedAt = clock.monotonic();
    await follow(open(signal), onEvent);
    failures = clock.monotonic() - openedAt > GOOD_MS ? 1 : failures + 1;
    await clock.sleep(backoffMs(failures, RETRY, NO_JITTER), signal);
  }
}

/** Resolves when the stream ends. Why it broke is told to whoever lists the containers, which fails for the same reason. */
async function follow(lines: AsyncIterable<string>, onEvent: (event: DriverEvent) => void): Promise<void> {
  try {
    for await (const line of lines) {
      const event = eventOf(line);
      if (event !== null) onEvent(event);
    }
  } catch {
    // Opened again.
  }
}
