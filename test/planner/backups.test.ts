import { describe, expect, it } from 'vitest';
import { type BackupNeed, dueBackups, turnOf } from '../../lib/planner/backups.ts';

const ROUND = { at: 1_000_000, spreadMs: 3_600_000 };
const TURN = ROUND.at + turnOf('a', ROUND.spreadMs);

function need(changes: Partial<BackupNeed> = {}): BackupNeed {
  return { bot: 'a', createdAt: 0, lastGoodAt: null, retryAt: null, ...changes };
}

describe('due backups', () => {
  it.each([
    { desc: 'before its turn', now: TURN - 1, due: false },
    { desc: 'when its turn has come', now: TURN, due: true },
    { desc: 'long after, because nobody was there', now: TURN * 9, due: true },
    { desc: 'with one from the round before', changes: { lastGoodAt: ROUND.at - 1 }, now: TURN, due: true },
    { desc: 'with one since the round began', changes: { lastGoodAt: ROUND.at }, now: TURN, due: false },
    { desc: 'made after the round began', changes: { createdAt: ROUND.at + 1 }, now: TURN, due: false },
    { desc: 'that failed, before it is tried again', changes: { retryAt: TURN + 10 }, now: TURN + 9, due: false },
    { desc: 'that failed, when it is tried again', changes: { retryAt: TURN + 10 }, now: TURN + 10, due: true },
  ])('a bot $desc: $due', ({ changes, now, due }) => {
    expect(dueBackups([need(changes)], ROUND, now)).toEqual(due ? ['a'] : []);
  });

  it('come evenly over the time of the round', () => {
    const bots = Array.from({ length: 5000 }, (_, n) => `bot-${n}`);
    const perMinute = new Array<number>(60).fill(0);
    for (const bot of bots) {
      const minute = Math.floor(turnOf(bot, 3_600_000) / 60_000);
      perMinute[minute] = (perMinute[minute] ?? 0) + 1;
    }
    expect(perMinute).toHaveLength(60);
    expect(Math.min(...perMinute)).toBeGreaterThan(45);
    expect(Math.max(...perMinute)).toBeLessThan(125);
    expect(turnOf('bot', 0)).toBe(0);
  });
});
