import { expect, it } from 'vitest';
import { Semaphore } from '../../lib/util/semaphore.ts';

it('lets at most its width run at the same time, and lets go after a failure', async () => {
  const semaphore = new Semaphore(3);
  let active = 0;
  let most = 0;
  const work = async (index: number): Promise<number> => {
    active += 1;
    most = Math.max(most, active);
    await new Promise((resolve) => setTimeout(resolve, 1));
    active -= 1;
    if (index % 4 === 0) throw new Error('on purpose');
    return index;
  };
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => semaphore.run(() => work(index))));
  expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(15);
  expect(most).toBe(3);
});
