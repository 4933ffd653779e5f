import { describe, expect, it } from 'vitest';
import type { BackupFacts } from '../../lib/domain/backup.ts';
import { planExpiry } from '../../lib/planner/expiry.ts';

const NOW = Date.parse('2026-03-20T12:00:00Z');
const DAY = 86_400_000;

function made(daysAgo: number, changes: Partial<BackupFacts> = {}): BackupFacts {
  return {
    id: `${changes.bot ?? 'a'}-${daysAgo}`,
    bot: 'a',
    owner: 'alice',
    template: 'echo',
    kind: 'scheduled',
    createdAt: new Date(NOW - daysAgo * DAY).toISOString(),
    bytes: 1,
    sha256: '',
    files: 1,
    unpackedBytes: 1,
    databases: 1,
    damaged: [],
    skipped: [],
    ...changes,
  };
}
const archive = (daysAgo: number, changes: Partial<BackupFacts> = {}) => made(daysAgo, { kind: 'deleted', ...changes });

const expired = (archives: BackupFacts[], backups: BackupFacts[], living: readonly string[] = []) =>
  planExpiry({ archives, backups }, (bot, owner) => living.includes(`${bot} ${owner}`), { days: 30, now: NOW });

describe('what is kept of deleted bots', () => {
  it('goes when it is old enough, its archive last', () => {
    expect(expired([archive(29)], [made(29), made(31), made(90)])).toEqual({
      archives: [],
      backups: ['a-31', 'a-90'],
    });
    expect(expired([archive(31)], [made(32)])).toEqual({ archives: ['a-31'], backups: ['a-32'] });
  });

  it('stays to the day', () => {
    expect(expired([archive(30)], [made(30)])).toEqual({ archives: [], backups: [] });
  });

  it.each([
    { what: 'a bot that nobody knows', archives: [], living: [] },
    { what: 'a bot that lives', archives: [archive(10)], living: ['a alice'] },
    { what: 'what another owner had under the same id', archives: [archive(10, { owner: 'bob' })], living: [] },
    { what: 'what was made after it was deleted', archives: [archive(50)], living: [] },
  ])('is no backup of $what', ({ archives, living }) => {
    expect(expired(archives, [made(40)], living).backups).toEqual([]);
  });

  it('is also the archive of a bot that lives again, but none that nobody wrote an owner down for', () => {
    const archives = [archive(31, { owner: null, bot: 'x' }), archive(31)];
    expect(expired(archives, [], ['a alice']).archives).toEqual(['a-31']);
  });
});
