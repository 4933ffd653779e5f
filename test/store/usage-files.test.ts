import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OpenLedger, UsageEntry } from '../../lib/domain/usage.ts';
import { createUsageFiles } from '../../lib/store/usage-files.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

let root: string;
let folder: string;
const errors: string[] = [];

beforeEach(async () => {
  root = await makeTempDir();
  folder = join(root, 'usage');
  errors.length = 0;
});
afterEach(() => removeDir(root));

const files = () => {
  const log = { ...silentLogger, error: (_: object, message: string) => void errors.push(message) };
  return createUsageFiles({ folder, clock: new ManualClock(), log });
};

const entry = (seconds: number, bot = 'b', owner = 'ann'): UsageEntry => ({
  owner,
  bot,
  usage: { runningSeconds: seconds, pssByteSeconds: seconds * 1000, cpuSeconds: seconds / 10 },
});

const LEDGER: OpenLedger = {
  readings: new Map([
    [
      'b',
      {
        owner: 'ann',
        container: 'c-1',
        at: 1_700_000_000_000,
        restarts: 2,
        process: { pid: 7, startedAt: 1_699_999_000.125, cpuSeconds: 1.25, pssBytes: null },
      },
    ],
    ['dead', { owner: 'bob@example.com', container: 'c-1', at: 1, restarts: 0, process: null }],
  ]),
  periods: new Map([['2026-05-01T10', [entry(10), entry(20, 'b', 'bob@example.com')]]]),
};

async function prepared() {
  const store = files();
  await store.loadOpen();
  return store;
}

describe('usage in files', () => {
  it('keeps what owners and bots used whose ids every object has already', async () => {
    const store = await prepared();
    const names = ['constructor', 'toString', 'entries', 'b'];
    const entries = names.flatMap((owner) => names.map((bot) => entry(1, bot, owner)));
    const { entries: ofObject } = Object;
    try {
      await store.save('2026-05-01T09', entries);
      expect(Object.entries).toBe(ofObject);
    } finally {
      Object.entries = ofObject;
    }
    expect(await store.load('2026-05-01T09')).toEqual(entries);
  });

  it('is read as it was written, by another supervisor too', async () => {
    const store = files();
    expect(await store.loadOpen()).toBeNull();
    await store.saveOpen(LEDGER);
    await store.save('2026-05-01T09', [entry(3)]);
    expect(await files().loadOpen()).toEqual(LEDGER);
    expect(await files().load('2026-05-01T09')).toEqual([entry(3)]);
    expect(await files().load('2026-05-01T08')).toEqual([]);
    expect(await files().periods()).toEqual(['2026-05-01T09']);
  });

  it('leaves nothing of a writer that was killed', async () => {
    const store = await prepared();
    await store.saveOpen(LEDGER);
    await writeFile(join(folder, 'open.json.tmp-0123456789ab'), '{"half');
    expect(await files().loadOpen()).toEqual(LEDGER);
    expect(await readdir(folder)).toEqual(['open.json']);
  });

  it.each([
    { what: 'half a file', content: '{"schema":1,"usage":{"ann":' },
    { what: 'another schema', content: '{"schema":2,"usage":{}}' },
    { what: 'a negative amount', content: '{"schema":1,"usage":{"ann":{"b":[-1,0,0]}}}' },
    { what: 'an owner that cannot be', content: '{"schema":1,"usage":{"../x":{"b":[1,0,0]}}}' },
    { what: 'an empty file', content: '' },
  ])('moves $what aside, says where to, and goes on', async ({ content }) => {
    const store = await prepared();
    await writeFile(join(folder, '2026-05-01T09.json'), content);
    expect(await store.load('2026-05-01T09')).toEqual([]);
    const [aside, ...others] = await readdir(folder);
    expect(others).toEqual([]);
    expect(aside).toMatch(/^2026-05-01T09\.json\.damaged-2023-11-14T/);
    expect(await readFile(join(folder, aside ?? ''), 'utf8')).toBe(content);
    expect(errors).toEqual([expect.stringContaining(`was moved to ${join(folder, aside ?? '')}`)]);
  });

  it('says that it is unavailable, and moves nothing, when it cannot be read', async () => {
    const store = await prepared();
    await mkdir(join(folder, '2026-05-01T09.json'));
    await expect(store.load('2026-05-01T09')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await readdir(folder)).toEqual(['2026-05-01T09.json']);
  });

  it('says that it is unavailable when it cannot be written, and is as it was', async () => {
    const store = await prepared();
    await store.saveOpen(LEDGER);
    await rm(folder, { recursive: true });
    await writeFile(folder, 'a file where the folder was');
    const none = { readings: new Map(), periods: new Map() };
    await expect(store.saveOpen(none)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await rm(folder);
    await store.saveOpen(LEDGER);
    expect(await files().loadOpen()).toEqual(LEDGER);
  });

  it('keeps samples of bots alone', async () => {
    const sample = { template: 'echo', version: 'v1', pssBytes: 5, container: 'c-1', at: '2026-05-01T10:00:00.000Z' };
    const store = await prepared();
    expect(await store.loadAlone()).toEqual([]);
    await store.saveAlone([sample]);
    expect(await files().loadAlone()).toEqual([sample]);
    await writeFile(join(folder, 'alone.json'), '[]');
    expect(await files().loadAlone()).toEqual([]);
    expect(errors).toHaveLength(1);
  });
});

describe('days', () => {
  const sum = async (store: ReturnType<typeof files>): Promise<number> => {
    let seconds = 0;
    for (const period of await store.periods()) {
      for (const { usage } of await store.load(period)) seconds += usage.runningSeconds;
    }
    return seconds;
  };

  it('take in their hours once they ended, and no others', async () => {
    const store = await prepared();
    for (const hour of ['2026-04-30T23', '2026-05-01T00', '2026-05-01T23', '2026-05-02T00']) {
      await store.save(hour, [entry(3600), entry(60, 'other')]);
    }
    await store.rollUp(Date.UTC(2026, 4, 2));
    expect(await store.periods()).toEqual(['2026-04-30', '2026-05-01', '2026-05-02T00']);
    expect(await store.load('2026-05-01')).toEqual([entry(7200), entry(120, 'other')]);
    expect((await readdir(folder)).sort()).toEqual(['2026-04-30.json', '2026-05-01.json', '2026-05-02T00.json']);
  });

  it('count once when the writer was killed before it removed the hours', async () => {
    const store = await prepared();
    for (const hour of ['2026-05-01T00', '2026-05-01T01']) await store.save(hour, [entry(100)]);
    const hours = await Promise.all(['00', '01'].map((hour) => readFile(join(folder, `2026-05-01T${hour}.json`))));
    await store.rollUp(Date.UTC(2026, 4, 2));
    await writeFile(join(folder, '2026-05-01T00.json'), hours[0] ?? '');
    await writeFile(join(folder, '2026-05-01T01.json'), hours[1] ?? '');
    expect(await sum(store)).toBe(200);
    await store.rollUp(Date.UTC(2026, 4, 2));
    expect(await sum(store)).toBe(200);
    expect(await readdir(folder)).toEqual(['2026-05-01.json']);
  });

  it('take in an hour that came late', async () => {
    const store = await prepared();
    await store.save('2026-05-01T00', [entry(100)]);
    await store.rollUp(Date.UTC(2026, 4, 2));
    await store.save('2026-05-01T05', [entry(7)]);
    expect(await sum(store)).toBe(107);
    await store.rollUp(Date.UTC(2026, 4, 2));
    expect(await sum(store)).toBe(107);
    expect(await store.periods()).toEqual(['2026-05-01']);
  });
});
