import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasLevelled, type MergeLook, untilMerged } from '../../scripts/bench/merge-progress.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

describe('whether merging has levelled', () => {
  const looks = (...pairs: (readonly [fullScans: number, saved: number])[]): MergeLook[] =>
    pairs.map(([fullScans, saved]) => ({ fullScans, saved }));

  it.each([
    { what: 'nothing was looked at', seen: looks(), levelled: false },
    { what: 'it was looked at once', seen: looks([5, 100]), levelled: false },
    {
      what: 'saved pages stand still over scans',
      seen: looks([0, 1000], [1, 1000], [2, 1000], [3, 1005]),
      levelled: true,
    },
    { what: 'fewer are saved than before', seen: looks([0, 1000], [1, 990], [2, 980], [3, 970]), levelled: true },
    { what: 'ever more are saved', seen: looks([0, 100], [1, 400], [2, 700], [3, 1000]), levelled: false },
    { what: 'scans are slow', seen: looks([0, 1000], [0, 1000], [1, 1000], [2, 1000]), levelled: false },
    { what: 'scans are so fast that hardly any time went by', seen: looks([0, 1000], [10, 1000]), levelled: false },
    {
      what: 'it grew first',
      seen: looks([0, 10], [3, 900], [6, 1000], [9, 1000], [12, 1000], [15, 1001]),
      levelled: true,
    },
  ])('is $levelled where $what', ({ seen, levelled }) => {
    expect(hasLevelled(seen)).toBe(levelled);
  });
});

describe('waiting for the merging', () => {
  let folder: string;
  const { signal } = new AbortController();
  beforeEach(async () => {
    folder = await makeTempDir();
    await writeFile(join(folder, 'full_scans'), '7\n');
    await writeFile(join(folder, 'pages_sharing'), '100\n');
  });
  afterEach(() => removeDir(folder));

  it('ends when it has levelled', async () => {
    const waiting = untilMerged(signal, { folder, everyMs: 5, seconds: 30 });
    await writeFile(join(folder, 'full_scans'), '11\n');
    expect(await waiting).toMatchObject({ levelled: true, fullScans: 4 });
  });

  it('ends when time is up, and says so', async () => {
    expect(await untilMerged(signal, { folder, everyMs: 5, seconds: 0.05 })).toMatchObject({
      levelled: false,
      fullScans: 0,
    });
  });

  it('ends when the run is ended', async () => {
    const ending = new AbortController();
    const waiting = untilMerged(ending.signal, { folder, everyMs: 5, seconds: 30 });
    ending.abort();
    await expect(waiting).rejects.toThrow();
  });
});
