import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupFacts, BackupKind } from '../../lib/domain/backup.ts';
import { planRetention } from '../../lib/planner/retention.ts';

const NOW = Date.parse('2026-03-20T12:00:00Z');
const HOUR = 3_600_000;

function backup(hoursAgo: number, changes: { good?: boolean; kind?: BackupKind } = {}): BackupFacts {
  const damaged = changes.good === false ? [{ path: 'db', why: 'broken' }] : [];
  return {
    id: `${hoursAgo}${changes.good === false ? ' bad' : ''}`,
    bot: 'a',
    owner: 'alice',
    template: 'echo',
    kind: changes.kind ?? 'scheduled',
    createdAt: new Date(NOW - hoursAgo * HOUR).toISOString(),
    bytes: 1,
    sha256: '',
    files: 1,
    unpackedBytes: 1,
    databases: 1,
    damaged,
    skipped: [],
  };
}

const kept = (backups: readonly BackupFacts[], keep: { last?: number; daily?: number; weekly?: number }): string[] => {
  const gone = new Set(planRetention(backups, { last: 0, daily: 0, weekly: 0, ...keep }, NOW));
  return backups.map(({ id }) => id).filter((id) => !gone.has(id));
};

const bad = { good: false } as const;

describe('retention', () => {
  it.each([
    { desc: 'the newest ones', hours: [0, 1, 2, 3, 4], keep: { last: 3 }, want: ['0', '1', '2'] },
    { desc: 'the newest, whatever is set', hours: [5, 6, 7], keep: {}, want: ['5'] },
    { desc: 'nothing of nothing', hours: [], keep: { last: 3 }, want: [] },
    { desc: 'the newest of each day', hours: [1, 2, 13, 14, 30, 37], keep: { daily: 2 }, want: ['1', '13'] },
    {
      desc: 'days that have one, however long ago',
      hours: [1, 500, 501, 900],
      keep: { daily: 3 },
      want: ['1', '500', '900'],
    },
    {
      desc: 'the newest of each week, from Monday on',
      hours: [1, 24 * 4, 24 * 5, 24 * 12],
      keep: { weekly: 2 },
      want: ['1', '120'],
    },
    {
      desc: 'one for several reasons once',
      hours: [1, 25, 49],
      keep: { last: 1, daily: 2, weekly: 1 },
      want: ['1', '25'],
    },
  ])('keeps $desc', ({ hours, keep, want }) => {
    expect(
      kept(
        hours.map((ago) => backup(ago)),
        keep,
      ),
    ).toEqual(want);
  });

  it('never takes a damaged one for a good one, and throws it away when a newer good one is there', () => {
    expect(kept([backup(1, bad), backup(2, bad), backup(3)], { last: 2 })).toEqual(['1 bad', '2 bad', '3']);
    expect(kept([backup(1), backup(2, bad), backup(3)], { last: 2 })).toEqual(['1', '3']);
    expect(kept([backup(1, bad), backup(2, bad)], { last: 1 })).toEqual(['1 bad', '2 bad']);
  });

  it('does not keep all those of a bot whose database stays damaged: the newest ones, and the first', () => {
    const hourly = Array.from({ length: 500 }, (_, ago) => backup(ago, bad));
    expect(kept(hourly, { last: 2 })).toEqual(['0 bad', '1 bad', '499 bad']);
    expect(kept([...hourly, backup(600)], { last: 1, daily: 2 })).toEqual(['0 bad', '13 bad', '499 bad', '600']);
  });

  it('keeps what a restore replaced for a week', () => {
    const replaced = { kind: 'before-restore' } as const;
    expect(kept([backup(1), backup(100, replaced), backup(200, replaced)], { last: 1 })).toEqual(['1', '100']);
  });

  it('keeps the newest good one, at most what is asked for, and comes to rest', () => {
    const anyBackup = fc
      .tuple(fc.integer({ min: 0, max: 2000 }), fc.boolean())
      .map(([ago, good]) => backup(ago, { good }));
    const size = fc.integer({ min: 0, max: 5 });
    fc.assert(
      fc.property(
        fc.uniqueArray(anyBackup, { selector: ({ createdAt }) => createdAt, maxLength: 40 }),
        fc.record({ last: size, daily: size, weekly: size }),
        (backups, keep) => {
          const gone = new Set(planRetention(backups, keep, NOW));
          const left = backups.filter(({ id }) => !gone.has(id));
          const most = Math.max(1, keep.last) + keep.daily + keep.weekly;
          const good = (some: readonly BackupFacts[]): BackupFacts[] =>
            some.filter(({ damaged }) => damaged.length === 0);
          const newest = (some: readonly BackupFacts[]): string | undefined =>
            good(some)
              .map(({ createdAt }) => createdAt)
              .sort()
              .at(-1);
          expect(newest(left)).toBe(newest(backups));
          expect(good(left).length).toBeLessThanOrEqual(most);
          expect(good(left).length).toBeGreaterThanOrEqual(Math.min(good(backups).length, Math.max(1, keep.last)));
          expect(left.length).toBeLessThanOrEqual(2 * most + 1);
          expect(planRetention(left, keep, NOW)).toEqual([]);
        },
      ),
    );
  });
});
