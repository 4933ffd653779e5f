import { messageOf } from '../domain/errors.ts';
import type { BunkhouseEvent, StampedEvent } from '../domain/events.ts';
import type { Clock } from '../util/clock.ts';
import { isoTime } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import { silentLogger } from '../util/logger.ts';

/** Hears of every event, at once and in order. Must be quick; what it throws is logged and goes no further. */
export type EventSink = (stamped: StampedEvent) => void;

export interface EventLog {
  /** Stamps, keeps and passes on an event. `owner` is whose bot it is about; null: for admins only. Never throws. */
  emit(event: BunkhouseEvent, owner: string | null): StampedEvent;
  /**
   * Events after `lastId` that are still kept (null: none), then live ones until `signal` aborts. With `owner`, only
   * that owner's. A reader that fell behind what is kept, or that brings an id this log never gave, gets one `gap`
   * event and then everything that is kept. The place in the stream is fixed by the call, not by the first read.
   */
  subscribe(options: {
    readonly lastId: number | null;
    readonly signal: AbortSignal;
    readonly owner?: string | null;
  }): AsyncIterable<StampedEvent>;
  /** Id of the newest event, or the one before the first. */
  newestId(): number;
}

export interface EventLogOptions {
  readonly clock: Clock;
  /** Events kept for replay. They are the only queue: a slow reader costs no memory of its own. */
  readonly capacity: number;
  readonly sinks?: readonly EventSink[];
  /** Told when a sink fails. */
  readonly logger?: Logger;
}

/** Ids one millisecond of start time is worth: ids of a later process are greater unless an earlier one emitted more than this per millisecond of its whole life. */
const IDS_PER_MS = 1000;

/** A ring buffer of events that many readers follow, each with a cursor of its own. */
export function createEventLog({ clock, capacity, sinks = [], logger = silentLogger }: EventLogOptions): EventLog {
  const ring = new Array<StampedEvent | undefined>(capacity);
  const first = Math.floor(clock.now()) * IDS_PER_MS;
  const wakers = new Set<() => void>();
  let next = first;

  const oldest = (): number => Math.max(first, next - capacity);

  function emit(event: BunkhouseEvent, owner: string | null): StampedEvent {
    const stamped: StampedEvent = { id: next, at: isoTime(clock.now()), owner, event };
    ring[next % capacity] = stamped;
    next += 1;
    for (const sink of sinks) callSink(sink, stamped, logger);
    for (const wake of wakers) wake();
    wakers.clear();
    return stamped;
  }

  async function* follow(from: number, signal: AbortSignal, owner: string | null): AsyncGenerator<StampedEvent> {
    let cursor = from;
    while (!signal.aborted) {
      if (cursor === next) {
        await nextEvent(wakers, signal);
        continue;
      }
      if (cursor < oldest() || cursor > next) {
        cursor = oldest();
        yield { id: cursor - 1, at: isoTime(clock.now()), owner: null, event: { type: 'gap' } };
        continue;
      }
      const stamped = ring[cursor % capacity] as StampedEvent;
      cursor += 1;
      if (owner === null || stamped.owner === owner) yield stamped;
    }
  }

  return {
    emit,
    subscribe: ({ lastId, signal, owner = null }) => follow(lastId === null ? next : lastId + 1, signal, owner),
    newestId: () => next - 1,
  };
}

function callSink(sink: EventSink, stamped: StampedEvent, logger: Logger): void {
  try {
    sink(stamped);
  } catch (error) {
    logger.error({ event: stamped.event.type, error: messageOf(error) }, 'an event sink failed');
  }
}

/** Resolves at the next event or when the signal aborts. */
function nextEvent(wakers: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      signal.removeEventListener('abort', wake);
      wakers.delete(wake);
      resolve();
    };
    wakers.add(wake);
    signal.addEventListener('abort', wake, { once: true });
  });
}
