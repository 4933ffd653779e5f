import { expect, test } from 'vitest';
import { Rush } from '../../lib/util/rush.ts';
import { ManualClock } from '../support/manual-clock.ts';

test('other work goes on at once while nobody waits, and when the last answer is there, also when it failed', async () => {
  const clock = new ManualClock();
  const rush = new Rush(clock);
  await rush.over(50);
  const [first, last] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const answers = [rush.for(first.promise), rush.for(last.promise)];
  let gone = 0;
  const others = [rush.over(50), rush.over(50)].map((over) => over.then(() => (gone += 1)));
  first.resolve('answer');
  await answers[0];
  await clock.advance(49);
  expect([rush.isOn, gone]).toEqual([true, 0]);
  last.reject(new Error('no'));
  await expect(answers[1]).rejects.toThrow('no');
  await Promise.all(others);
  expect([rush.isOn, gone, clock.pending]).toEqual([false, 2, 0]);
});

test('other work does not wait for ever', async () => {
  const clock = new ManualClock();
  const rush = new Rush(clock);
  void rush.for(new Promise(() => {}));
  const over = rush.over(50);
  await clock.advance(50);
  await over;
  expect(rush.isOn).toBe(true);
});
