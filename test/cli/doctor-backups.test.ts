import { describe, expect, it } from 'vitest';
import { backupFindings } from '../../lib/cli/doctor/backups.ts';
import type { BackupOverview, BackupStatus } from '../../lib/services/backup-api.ts';

const AT = '2026-01-01T00:00:00.000Z';

function bot(instanceId: string, changes: Partial<BackupStatus> = {}): BackupStatus {
  const last = { id: `${instanceId}-x`, createdAt: AT, ageSeconds: 7500 };
  return {
    instanceId,
    owner: 'ann',
    schedule: '0 * * * *',
    running: false,
    last,
    restore: null,
    failure: null,
    ...changes,
  };
}

function overview(bots: readonly BackupStatus[], changes: Partial<BackupOverview> = {}): BackupOverview {
  return { place: '/backups', schedule: '0 * * * *', keep: 'last=3', trouble: '', bots, ...changes };
}

const failure = { count: 2, why: 'the disk is full', at: AT, nextTryAt: AT };

describe('doctor on backups', () => {
  it.each([
    { desc: 'nothing without bots', seen: overview([]), want: [] },
    {
      desc: 'how old the oldest is',
      seen: overview([bot('a'), bot('b', { last: null })]),
      want: [{ level: 'ok', found: 'of 1 of 2 bots, the oldest 2h 5m ago, in /backups' }],
    },
    {
      desc: 'why a backup failed',
      seen: overview([bot('a'), bot('b', { failure })]),
      want: [{ level: 'warn', found: '1 bot whose last backup failed, b: the disk is full' }],
    },
    {
      desc: 'that none are made by themselves',
      seen: overview([bot('a', { schedule: null })], { schedule: null }),
      want: [{ level: 'warn', next: expect.stringContaining('BACKUP_SCHEDULE') }],
    },
    {
      desc: 'why they cannot be looked at',
      seen: overview([bot('a')], { trouble: 'no answer' }),
      want: [{ level: 'warn', found: '/backups: no answer' }],
    },
  ])('tells $desc', ({ seen, want }) => {
    expect(backupFindings(seen)).toMatchObject(want);
  });
});
