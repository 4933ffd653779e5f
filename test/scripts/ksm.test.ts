import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSettings, withMerging } from '../../scripts/bench/ksm.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

describe('merging of equal pages', () => {
  let folder: string;
  const FOUND = { advisor_mode: 'none [scan-time]\n', pages_to_scan: '100\n', sleep_millisecs: '200\n', run: '0\n' };
  beforeEach(async () => {
    folder = await makeTempDir();
    for (const [name, text] of Object.entries(FOUND)) await writeFile(join(folder, name), text);
  });
  afterEach(() => removeDir(folder));

  const run = async (): Promise<string> => (await readFile(join(folder, 'run'), 'utf8')).trim();

  it('is on while something runs, and as before when it is done', async () => {
    const before = readSettings(folder);
    expect(before).toContainEqual(['advisor_mode', 'scan-time']);
    expect(await withMerging(run, folder)).toBe('1');
    expect(readSettings(folder)).toEqual(before);
  });

  it('is as before when that failed', async () => {
    const before = readSettings(folder);
    await expect(withMerging(() => Promise.reject(new Error('broke')), folder)).rejects.toThrow('broke');
    expect(readSettings(folder)).toEqual(before);
    expect(process.listeners('exit').filter(({ name }) => name === 'restore')).toEqual([]);
  });

  it('is one run’s at a time', async () => {
    const second = withMerging(() => withMerging(run, folder), folder);
    await expect(second).rejects.toThrow('another run has the merging');
    expect(await withMerging(run, folder)).toBe('1');
  });

  it('leaves out what this kernel does not have', async () => {
    await rm(join(folder, 'advisor_mode'));
    expect(await withMerging(run, folder)).toBe('1');
    expect(readSettings(folder).map(([name]) => name)).toEqual(['pages_to_scan', 'sleep_millisecs', 'run']);
  });

  it('is refused by a kernel that cannot', async () => {
    await rm(join(folder, 'run'));
    await expect(withMerging(run, folder)).rejects.toThrow(/cannot merge/);
  });
});
