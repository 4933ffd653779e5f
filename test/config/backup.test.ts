import { describe, expect, it } from 'vitest';
import { parseBackupUrl } from '../../lib/config/backup-url.ts';
import { cron, keep } from '../../lib/config/kinds.ts';

const BUCKET = {
  kind: 's3',
  bucket: 'bots',
  prefix: '',
  region: 'us-east-1',
  endpoint: null,
  pathStyle: false,
  credentialsFile: null,
};

describe('BACKUP_URL', () => {
  it.each([
    { text: 'file:/var/backups', want: { kind: 'folder', path: '/var/backups' } },
    { text: 'file:///var/backups', want: { kind: 'folder', path: '/var/backups' } },
    { text: 's3://bots', want: BUCKET },
    { text: 's3://bots/a/b/', want: { ...BUCKET, prefix: 'a/b/' } },
    { text: 's3://bots?region=eu-central-1', want: { ...BUCKET, region: 'eu-central-1' } },
    {
      text: 's3://bots/p?endpoint=https://s3.example.org&credentialsFile=/etc/key',
      want: {
        ...BUCKET,
        prefix: 'p/',
        endpoint: 'https://s3.example.org',
        pathStyle: true,
        credentialsFile: '/etc/key',
      },
    },
    {
      text: 's3://bots?endpoint=http://127.0.0.1:7070',
      want: { ...BUCKET, endpoint: 'http://127.0.0.1:7070', pathStyle: true },
    },
  ])('$text', ({ text, want }) => {
    expect(parseBackupUrl(text)).toEqual(want);
  });

  it.each([
    { desc: 'a relative path', text: 'file:backups' },
    { desc: 'another scheme', text: 'https://bots' },
    { desc: 'no bucket', text: 's3:///prefix' },
    { desc: 'a bucket with capitals', text: 's3://Bots_' },
    { desc: 'keys in it, which would be logged', text: 's3://key:secret@bots' },
    { desc: 'an option nobody knows', text: 's3://bots?regin=x' },
    { desc: 'an address that is not encrypted', text: 's3://bots?endpoint=http://s3.example.org' },
    { desc: 'a relative file', text: 's3://bots?credentialsFile=key' },
  ])('refuses $desc', ({ text }) => {
    expect(parseBackupUrl(text)).toBeNull();
  });
});

describe('BACKUP_KEEP', () => {
  it.each([
    { text: 'last=3,daily=7,weekly=4', want: { last: 3, daily: 7, weekly: 4 } },
    { text: 'daily=2', want: { last: 1, daily: 2, weekly: 0 } },
  ])('$text', ({ text, want }) => {
    expect(keep.schema.parse(text)).toEqual(want);
  });

  it.each(['', 'last', 'last=', 'last=-1', 'monthly=1', 'last=1,last=2', 'last=1;daily=2', ',last=1'])(
    'refuses %j',
    (text) => {
      expect(keep.schema.safeParse(text).success).toBe(false);
    },
  );
});

describe('BACKUP_SCHEDULE', () => {
  it.each([
    { text: '15 3 * * *', good: true },
    { text: '*/10 * * * 1-5', good: true },
    { text: '0 15 3 * * *', good: false },
    { text: '61 * * * *', good: false },
    { text: 'daily', good: false },
  ])('$text: $good', ({ text, good }) => {
    expect(cron.schema.safeParse(text).success).toBe(good);
  });
});
