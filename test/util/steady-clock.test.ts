import { describe, expect, it } from 'vitest';
import { SteadyClock } from '../../lib/util/steady-clock.ts';

/** A clock that can be set, and one that cannot. */
function settable() {
  const time = { wall: 1_000_000, monotonic: 5 };
  const clock = new SteadyClock({ now: () => time.wall, monotonic: () => time.monotonic });
  return { time, clock };
}

describe('a steady clock', () => {
  it('does not begin before a moment known to be over', () => {
    const clock = new SteadyClock({ now: () => 1_000, monotonic: () => 5 }, 9_000);
    expect(clock.now()).toBe(9_000);
  });

  it('begins with the time of day and does not follow when that is set', () => {
    const { time, clock } = settable();
    expect(clock.now()).toBe(1_000_000);
    time.wall = 7;
    time.monotonic += 250;
    expect(clock.now()).toBe(1_000_250);
  });

  it('moves together with what is measured by it', async () => {
    const { clock } = settable();
    const moving = Promise.withResolvers<void>();
    const step = clock.step(-400_000, () => moving.promise);
    expect(clock.now()).toBe(600_000);
    moving.resolve();
    await step;
    expect(clock.now()).toBe(600_000);
  });

  it('stays when that cannot be moved', async () => {
    const { clock } = settable();
    await expect(clock.step(9, () => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full');
    expect(clock.now()).toBe(1_000_000);
  });
});
