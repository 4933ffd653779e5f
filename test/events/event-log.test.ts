import { describe, expect, it } from 'vitest';
import type { BunkhouseEvent, StampedEvent } from '../../lib/domain/events.ts';
import { createEventLog, type EventLog } from '../../lib/events/event-log.ts';
import { counterSink, loggerSink } from '../../lib/events/sinks.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';

const started = (container: string): BunkhouseEvent => ({ type: 'container.started', container });

/** The first `count` events of a subscription, as short names. */
async function take(events: AsyncIterable<StampedEvent>, count: number): Promise<string[]> {
  const names: string[] = [];
  for await (const { event } of events) {
    names.push(event.type === 'container.started' ? event.container : event.type);
    if (names.length === count) break;
  }
  return names;
}

function logOf(capacity: number, at = 1_000_000): EventLog {
  return createEventLog({ clock: { ...systemClock, now: () => at }, capacity });
}

describe('event log', () => {
  it('gives ids that grow by one', () => {
    const log = logOf(10);
    const ids = [log.emit(started('a'), null).id, log.emit(started('b'), null).id, log.emit(started('c'), null).id];
    expect(ids).toEqual([ids[0], (ids[0] as number) + 1, (ids[0] as number) + 2]);
    expect(log.newestId()).toBe(ids[2]);
  });

  it('replays what came after the last id, then goes on live', async () => {
    const log = logOf(10);
    const { id } = log.emit(started('a'), null);
    log.emit(started('b'), null);
    const events = log.subscribe({ lastId: id, signal: AbortSignal.timeout(5000) });
    log.emit(started('c'), null);
    const reading = take(events, 3);
    await Promise.resolve();
    log.emit(started('d'), null);
    expect(await reading).toEqual(['b', 'c', 'd']);
  });

  it('starts without a last id at the moment of the call, not of the first read', async () => {
    const log = logOf(10);
    log.emit(started('a'), null);
    const events = log.subscribe({ lastId: null, signal: AbortSignal.timeout(5000) });
    log.emit(started('b'), null);
    expect(await take(events, 1)).toEqual(['b']);
  });

  it('tells a slow reader of the gap and goes on with what is kept', async () => {
    const log = logOf(3);
    const { id } = log.emit(started('0'), null);
    const events = log.subscribe({ lastId: id, signal: AbortSignal.timeout(5000) });
    for (let n = 1; n <= 10; n++) log.emit(started(String(n)), null);
    expect(await take(events, 4)).toEqual(['gap', '8', '9', '10']);
  });

  it('numbers the gap so that resuming from it repeats nothing and loses nothing', async () => {
    const log = logOf(3);
    for (let n = 1; n <= 10; n++) log.emit(started(String(n)), null);
    const events = log.subscribe({ lastId: 0, signal: AbortSignal.timeout(5000) });
    let gap: number | null = null;
    for await (const stamped of events) {
      gap = stamped.id;
      break;
    }
    expect(await take(log.subscribe({ lastId: gap, signal: AbortSignal.timeout(5000) }), 3)).toEqual(['8', '9', '10']);
  });

  it('never skips silently for an id of an earlier process', async () => {
    const before = logOf(10, 1_000_000);
    let last = 0;
    for (let n = 0; n < 500; n++) last = before.emit(started('old'), null).id;
    const after = logOf(10, 1_000_001);
    expect(after.emit(started('new'), null).id).toBeGreaterThan(last);
    expect(await take(after.subscribe({ lastId: last, signal: AbortSignal.timeout(5000) }), 2)).toEqual(['gap', 'new']);
  });

  it('treats an id from the future (the clock was set back) as a gap', async () => {
    const log = logOf(10);
    log.emit(started('a'), null);
    const events = log.subscribe({ lastId: log.newestId() + 500, signal: AbortSignal.timeout(5000) });
    expect(await take(events, 2)).toEqual(['gap', 'a']);
  });

  it('shows an owner only their own events', async () => {
    const log = logOf(10);
    const events = log.subscribe({ lastId: null, signal: AbortSignal.timeout(5000), owner: 'alice' });
    log.emit(started('admin'), null);
    log.emit(started('bob'), 'bob');
    log.emit(started('alice'), 'alice');
    expect(await take(events, 1)).toEqual(['alice']);
  });

  it('ends when the signal aborts, also while it waits', async () => {
    const log = logOf(10);
    const stop = new AbortController();
    const reading = take(log.subscribe({ lastId: null, signal: stop.signal }), 1);
    await Promise.resolve();
    stop.abort();
    expect(await reading).toEqual([]);
  });

  it('goes on when a sink throws, and says so', () => {
    const said: string[] = [];
    const heard: string[] = [];
    const log = createEventLog({
      clock: systemClock,
      capacity: 2,
      sinks: [
        () => {
          throw new Error('broken sink');
        },
        ({ event }) => heard.push(event.type),
      ],
      logger: { ...silentLogger, error: (facts) => said.push(JSON.stringify(facts)) },
    });
    log.emit(started('a'), null);
    expect(heard).toEqual(['container.started']);
    expect(said[0]).toContain('broken sink');
  });

  it('logs trouble as warnings and counts by type', () => {
    const lines: string[] = [];
    const counted: string[] = [];
    const logger = { ...silentLogger, info: () => lines.push('info'), warn: () => lines.push('warn') };
    const sinks = [loggerSink(logger), counterSink({ inc: ({ type }) => counted.push(type) })];
    const log = createEventLog({ clock: systemClock, capacity: 2, sinks });
    log.emit(started('a'), null);
    log.emit({ type: 'container.lost', container: 'a', reason: 'gone' }, null);
    expect(lines).toEqual(['info', 'warn']);
    expect(counted).toEqual(['container.started', 'container.lost']);
  });
});
