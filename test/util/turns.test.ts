import { expect, test } from 'vitest';
import { Turns } from '../../lib/util/turns.ts';

/** Whether what waited had its turn when ours, which took so long, was shared. */
async function sharedAfter(ms: number): Promise<boolean> {
  let now = 0;
  const turns = new Turns({ monotonic: () => now });
  let waits = true;
  setImmediate(() => {
    waits = false;
  });
  now = ms;
  await turns.share();
  return !waits;
}

test.each([
  { what: 'a short turn goes on', ms: 1, shared: false },
  { what: 'after a long one others have theirs', ms: 5, shared: true },
])('$what', async ({ ms, shared }) => {
  expect(await sharedAfter(ms)).toBe(shared);
});
