import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackupOverview, BackupPage, RestoreAnswer } from '../../lib/services/backup-api.ts';
import { S3_SERVER, type S3Server, startS3 } from '../support/s3-server.ts';
import { createSandbox, fixtureBot, type Sandbox } from './support.ts';

/** Backups that make themselves, in a bucket that may be away. */

const reason = S3_SERVER === null ? ' (left out: no versitygw; scripts/test installs it where Go is)' : '';

describe.skipIf(S3_SERVER === null)(`with backups in a bucket by schedule${reason}`, () => {
  let server: S3Server;
  let sandbox: Sandbox;

  beforeAll(async () => {
    server = await startS3();
    const { bucket, prefix, endpoint, credentialsFile } = await server.bucket();
    sandbox = await createSandbox({
      basePort: 25_900,
      env: {
        BACKUP_URL: `s3://${bucket}/${prefix}?endpoint=${endpoint}&credentialsFile=${credentialsFile}`,
        BACKUP_SCHEDULE: '* * * * *',
        BACKUP_SPREAD_IN_MINUTES: '0',
        BACKUP_KEEP: 'last=2',
      },
    });
    await sandbox.start();
    await sandbox.client.create(await fixtureBot('a', 'server.py'));
    await sandbox.untilState('a', 'running', 30);
  });
  afterAll(async () => {
    await sandbox?.dispose();
    await server?.dispose();
  });

  const list = async (query: string) => (await sandbox.client.get<BackupPage>(`/api/backups?${query}`)).backups;
  const overview = () => sandbox.client.get<BackupOverview>('/api/backups/overview');

  it('bots are backed up by themselves, and come back from there', async () => {
    const made = await sandbox.until('the first', async () => (await list('kind=scheduled'))[0], 150);
    expect(made).toMatchObject({ bot: 'a', good: true, shelf: 'backups' });
    const { place } = await overview();
    expect(place).toContain(`at ${server.url}`);
    expect(place).not.toContain(server.secret);
    const answer = await sandbox.client.post<RestoreAnswer>(`/api/backups/${made.id}/restore`, {
      as: 'b',
      start: true,
    });
    expect(answer.how).toBe('new');
    await sandbox.untilState('b', 'running', 30);
  });

  it('a bucket that is away is told, keeps no bot from running, and backups go on when it is back', async () => {
    const { pid } = await sandbox.client.bot('a');
    await server.stop();
    const failed = await sandbox.client.request('/api/bots/a/backup', { method: 'POST' });
    expect(failed).toMatchObject({ status: 503, body: { code: 'STORE_UNAVAILABLE' } });
    expect(JSON.stringify(failed.body)).not.toContain(server.secret);
    const told = (await overview()).bots.find(({ instanceId }) => instanceId === 'a');
    expect(told?.failure).toMatchObject({ why: expect.stringContaining('s3://') });
    expect(await sandbox.client.bot('a')).toMatchObject({ pid, state: 'running' });
    await server.start();
    await sandbox.until(
      'it is made good',
      async () => (await overview()).bots.every(({ failure, last }) => failure === null && last !== null),
      200,
    );
  });
});
