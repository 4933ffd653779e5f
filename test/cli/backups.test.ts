import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BackupPage, BackupView, RestoreAnswer } from '../../lib/services/backup-api.ts';
import { type Ran, run, type Supervisor, startSupervisor } from './bunkhouse.ts';

// Each command is a process that starts from nothing, many of them on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let supervisor: Supervisor;
const cli = (...args: string[]): Promise<Ran> => run(args, supervisor.env);

async function json<T>(...args: string[]): Promise<T> {
  const { code, out } = await cli(...args, '--json');
  expect(code).toBe(0);
  return JSON.parse(out) as T;
}

beforeAll(async () => {
  supervisor = await startSupervisor();
  expect(await cli('bots', 'create', 'b1', '--template', 'plain', '--owner', 'ann', '--wait', '20')).toMatchObject({
    code: 0,
  });
});

afterAll(async () => {
  await supervisor.close();
});

describe('backups', () => {
  it('makes one, lists and shows it', async () => {
    expect(await cli('bots', 'backup', 'b1')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^b1: b1-2\S+, 0\.0 MiB\n$/),
    });
    const { backups } = await json<BackupPage>('backups', 'list', '--bot', 'b1');
    expect(backups).toMatchObject([{ bot: 'b1', owner: 'ann', kind: 'asked' }]);
    const [{ id = '' } = {}] = backups;
    expect((await cli('backups', 'list')).out).toMatch(new RegExp(`^${id} +b1 +ann +asked +0.0 MiB +yes$`, 'm'));
    expect((await cli('backups', 'show', id)).out).toMatch(/^kind +asked, in the backups$/m);
    expect(await cli('backups', 'show', 'b1-2026-01-01T00-00-00-000Z-abcdef')).toMatchObject({ code: 3 });
  });

  it('restores in place and as a new bot, says what to do next, and deletes', async () => {
    const { id } = await json<BackupView>('bots', 'backup', 'b1');
    const inPlace = await cli('backups', 'restore', id, '--wait', '30');
    expect(inPlace).toMatchObject({ code: 0, out: expect.stringContaining('then it goes on as running') });
    const answer = await json<RestoreAnswer>('backups', 'restore', id, '--as', 'b2', '--wait', '30');
    expect(answer).toMatchObject({ how: 'new', notes: [expect.stringContaining('bots start b2'), expect.anything()] });
    expect((await cli('bots', 'show', 'b2')).out).toMatch(/stopped/);
    expect(await cli('backups', 'restore', id, '--as', 'b2')).toMatchObject({ code: 5 });
    expect(await cli('backups', 'delete', id)).toMatchObject({ code: 0, out: `${id}: deleted\n` });
  });

  it('brings a deleted bot back', async () => {
    await cli('bots', 'create', 'b3', '--template', 'plain', '--wait', '20');
    await cli('bots', 'delete', 'b3', '--wait', '20');
    const { backups } = await json<BackupPage>('backups', 'list', '--kind', 'deleted', '--bot', 'b3');
    expect(await cli('backups', 'restore', backups[0]?.id ?? '', '--start', '--wait', '30')).toMatchObject({ code: 0 });
    expect((await cli('bots', 'show', 'b3')).out).toMatch(/running/);
  });

  it('runs all and tells how they stand', async () => {
    expect(await cli('backups', 'run', '--wait', '30')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d backups made\n$/),
    });
    const { out } = await cli('backups', 'status');
    expect(out).toMatch(/^schedule +none \(BACKUP_SCHEDULE\)$/m);
    expect(out).toMatch(/^b1 +\ds/m);
    expect((await cli('status')).out).toMatch(/^backups +of \d of \d bots, the oldest \d+s ago$/m);
  });
});
