import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createArchiveFiles } from '../../lib/store/archive-files.ts';
import { systemClock } from '../../lib/util/clock.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bunkhouse-archives-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const pieces = [Buffer.from('first '), Buffer.from('second')];
const digest = createHash('sha256').update('first second').digest('hex');

async function* chunks(fail = false): AsyncGenerator<Uint8Array> {
  yield* pieces;
  if (fail) throw new Error('the container went away');
}

describe('archive files', () => {
  it('keeps what was packed, for nobody else to read', async () => {
    const archives = createArchiveFiles(join(folder, 'archives'), systemClock);
    const name = await archives.save('bot.One', chunks(), digest);
    expect(name).toMatch(/^bot\.One-\d{4}-\d\d-\d\dT[\d-]+Z-[0-9a-f]{6}\.tar\.gz$/);
    expect(await readFile(join(folder, 'archives', name), 'utf8')).toBe('first second');
    expect((await stat(join(folder, 'archives', name))).mode & 0o777).toBe(0o600);
  });

  it('removes what a killed supervisor left half written', async () => {
    await writeFile(join(folder, '.a-2026.tar.gz.part'), 'half');
    const archives = createArchiveFiles(folder, systemClock);
    const names = await Promise.all([archives.save('b', chunks(), digest), archives.save('c', chunks(), digest)]);
    expect((await readdir(folder)).sort()).toEqual(names.sort());
  });

  it.each([
    { desc: 'another content arrived', save: () => createArchiveFiles(folder, systemClock).save('b', chunks(), 'ff') },
    {
      desc: 'the container went away',
      save: () => createArchiveFiles(folder, systemClock).save('b', chunks(true), digest),
    },
  ])('keeps nothing when $desc', async ({ save }) => {
    await expect(save()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await readdir(folder)).toEqual([]);
  });
});
