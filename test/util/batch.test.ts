import { describe, expect, it } from 'vitest';
import { batched } from '../../lib/util/batch.ts';

describe('batched', () => {
  it('does what is asked for in one turn in one go, and answers each', async () => {
    const seen: (readonly number[])[] = [];
    const double = batched(async (items: readonly number[]) => {
      seen.push([...items]);
      return items.map((item) => (item < 0 ? new Error(`${item} is negative`) : item * 2));
    });
    const answers = await Promise.allSettled([double(1), double(-1), double(3)]);
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : answer.reason.message))).toEqual([
      2,
      '-1 is negative',
      6,
    ]);
    expect(await double(4)).toBe(8);
    expect(seen).toEqual([[1, -1, 3], [4]]);
  });

  it('fails for all when the work does, and goes on with the next', async () => {
    let broken = true;
    const work = batched(async (items: readonly string[]) => {
      if (broken) throw new Error('broken');
      return items;
    });
    const answers = await Promise.allSettled([work('a'), work('b')]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    broken = false;
    expect(await work('c')).toBe('c');
  });
});
