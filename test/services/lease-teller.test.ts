import { describe, expect, it } from 'vitest';
import { LeaseTeller } from '../../lib/services/lease-teller.ts';
import { Rush } from '../../lib/util/rush.ts';
import { ManualClock } from '../support/manual-clock.ts';

function teller() {
  const clock = new ManualClock();
  let told = 0;
  const rush = new Rush(clock);
  return { clock, rush, told: () => told, subject: new LeaseTeller(clock, rush, () => (told += 1)) };
}

describe('telling bots of their leases', () => {
  it('happens once for many, a moment later', async () => {
    const { clock, told, subject } = teller();
    for (let n = 0; n < 10; n++) subject.soon();
    expect(told()).toBe(0);
    await clock.advance(25);
    expect([told(), clock.pending]).toEqual([1, 0]);
    subject.soon();
    await clock.advance(25);
    expect(told()).toBe(2);
  });

  it('waits while somebody waits for an answer, but not for long', async () => {
    const { clock, rush, told, subject } = teller();
    const answer = Promise.withResolvers<string>();
    const waiting = rush.for(answer.promise);
    subject.soon();
    await clock.advance(475);
    expect(told()).toBe(0);
    await clock.advance(25);
    expect(told()).toBe(1);
    answer.resolve('lease');
    expect(await waiting).toBe('lease');
    subject.soon();
    await clock.advance(25);
    expect(told()).toBe(2);
  });

  it('does not wait for an answer that failed', async () => {
    const { clock, rush, told, subject } = teller();
    await expect(rush.for(Promise.reject(new Error('no')))).rejects.toThrow('no');
    subject.soon();
    await clock.advance(25);
    expect(told()).toBe(1);
  });
});
