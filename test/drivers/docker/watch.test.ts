import { describe, expect, it } from 'vitest';
import { watchEvents } from '../../../lib/drivers/docker/watch.ts';
import type { DriverEvent } from '../../../lib/drivers/driver.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';

const line = (container: string): string =>
  JSON.stringify({ Action: 'start', Actor: { Attributes: { 'bunkhouse.container': container } } });

/** Streams that each give one event and then break or end. */
function watching(endings: 'breaks' | 'ends') {
  const clock = new ManualClock();
  const abort = new AbortController();
  const seen: DriverEvent[] = [];
  let opened = 0;
  async function* open(): AsyncGenerator<string> {
    opened += 1;
    yield line(`c${opened}`);
    if (endings === 'breaks') throw new Error('the connection broke');
  }
  const done = watchEvents({ clock, open }, (event) => seen.push(event), abort.signal);
  const names = (): string[] => seen.map(({ container }) => container);
  return { clock, abort, done, names };
}

describe('watching events', () => {
  it.each(['breaks', 'ends'] as const)('opens the stream again when it %s, ever later', async (endings) => {
    const { clock, abort, done, names } = watching(endings);
    await settle();
    expect(names()).toEqual(['c1']);
    await clock.advance(375);
    expect(names()).toEqual(['c1', 'c2']);
    await clock.advance(375);
    expect(names()).toEqual(['c1', 'c2']);
    await clock.advance(375);
    expect(names()).toEqual(['c1', 'c2', 'c3']);
    abort.abort();
    await done;
    expect(clock.pending).toBe(0);
  });

  it('never waits longer than half a minute', async () => {
    const { clock, abort, done, names } = watching('ends');
    for (let round = 1; round <= 20; round++) await clock.advance(30_000);
    expect(names().length).toBeGreaterThan(20);
    abort.abort();
    await done;
  });
});
