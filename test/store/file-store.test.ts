import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BunkhouseError, type ErrorCode } from '../../lib/domain/errors.ts';
import { SCHEMA_VERSION } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import { MIGRATIONS, type Migration } from '../../lib/store/migrations.ts';
import { applyPatches, type Document } from '../../lib/store/patch.ts';
import { readJournals } from '../../lib/store/recovery.ts';
import type { Change, Store } from '../../lib/store/store.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { storeContract } from '../contract/store.ts';
import { waitFor } from '../support/wait-for.ts';
import { botRecord, containerRecord } from './bot-record.ts';

const COUNTER = join(import.meta.dirname, 'fixtures/counter.ts');
const HOUR = 3_600_000;

let folder: string;
let path: string;
let now: number;
let cleanUps: (() => unknown)[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-store-'));
  path = join(folder, 'state/state.json');
  now = Date.parse('2026-01-01T00:00:00Z');
  cleanUps = [];
});

afterEach(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  rmSync(folder, { recursive: true, force: true });
});

async function open(migrations?: ReadonlyMap<number, Migration>): Promise<Store> {
  const clock = { ...systemClock, now: () => now };
  const store = await openFileStore({ path, clock, log: silentLogger, ...(migrations && { migrations }) });
  cleanUps.push(() => store.close());
  return store;
}

async function refused(work: Promise<unknown>): Promise<BunkhouseError> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  );
  if (error instanceof BunkhouseError) return error;
  throw error;
}

const grow: Change<number> = (state) => ({
  state: { ...state, generation: state.generation + 1 },
  result: state.generation + 1,
});
const putBot =
  (instanceId: string): Change<void> =>
  (state) => ({ state: { ...state, bots: state.bots.put(instanceId, botRecord(instanceId)) }, result: undefined });
const putBots =
  (count: number): Change<void> =>
  (state) => {
    const ids = Array.from({ length: count }, (_, n) => `bot-${n}`);
    const bots = Table.from(ids.map((id) => [id, botRecord(id)]));
    return { state: { ...state, bots }, result: undefined };
  };

const names = (): string[] => readdirSync(join(folder, 'state')).sort();
const goodCopies = (): string[] => names().filter((name) => name.includes('.good-'));
const journals = (): string[] => names().filter((name) => name.includes('.journal-'));

/** What the next opener would find: the file and the journals that go on from it. */
async function onDisk(): Promise<Document> {
  const document = JSON.parse(readFileSync(path, 'utf8'));
  const { patches } = await readJournals(path, { ...document.journal, installation: document.installation });
  return applyPatches(document, patches);
}

storeContract('file store', async () => {
  const place = mkdtempSync(join(tmpdir(), 'bunkhouse-store-'));
  return {
    open: () => openFileStore({ path: join(place, 'state/state.json'), clock: systemClock, log: silentLogger }),
    cleanUp: async () => rmSync(place, { recursive: true, force: true }),
  };
});

describe('file store: where the containers are', () => {
  const putContainer: Change<void> = (state) => ({
    state: { ...state, containers: { c: containerRecord('c') } },
    result: undefined,
  });

  const openAt = async (home: string): Promise<Store> => {
    const store = await openFileStore({ path, home, clock: systemClock, log: silentLogger });
    cleanUps.push(() => store.close());
    return store;
  };

  it('is noted by the first start, before anything is changed', async () => {
    await openAt('here');
    expect(await onDisk()).toMatchObject({ home: 'here' });
  });

  it('is refused when it is elsewhere, and nothing is changed', async () => {
    const store = await openAt('here');
    await store.update(putContainer);
    await store.close();
    const before = readFileSync(path, 'utf8');
    const error = await refused(openAt('elsewhere'));
    expect(error.code).toBe('CONFLICT');
    expect(error.message).toContain(`The state at ${path} tells of containers of here`);
    expect(readFileSync(path, 'utf8')).toBe(before);
    expect((await openAt('here')).current().containers).toHaveProperty('c');
  });

  it('counts containers that only a journal tells of', async () => {
    const store = await openAt('here');
    await store.update(putContainer);
    const copy = join(folder, 'copy');
    cpSync(join(folder, 'state'), copy, { recursive: true });
    rmSync(join(copy, 'state.json.lock'));
    path = join(copy, 'state.json');
    expect((await refused(openAt('elsewhere'))).code).toBe('CONFLICT');
  });

  it('may be forgotten, and is then what the next start says', async () => {
    const store = await openAt('here');
    await store.update(putContainer);
    await store.close();
    await (await open()).close();
    await (await openAt('elsewhere')).close();
    expect((await refused(openAt('here'))).code).toBe('CONFLICT');
  });

  it('is not known in a file of an older version', async () => {
    const store = await openAt('here');
    await store.update(putContainer);
    await store.close();
    const { home: _, ...old } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify(old));
    await (await openAt('elsewhere')).close();
    expect(await onDisk()).toMatchObject({ home: 'elsewhere' });
  });
});

describe('file store: the file', () => {
  it('is for its user alone, in a folder that is for its user alone, below folders that others may pass', async () => {
    path = join(folder, 'deep/data/state/state.json');
    await (await open()).update(putBot('a'));
    const mode = (of: string): number => statSync(join(folder, of)).mode & 0o777;
    expect(mode('deep/data/state/state.json')).toBe(0o600);
    expect(mode('deep/data/state')).toBe(0o700);
    expect(mode('deep/data') & 0o011).toBe(0o011);
  });

  it('leaves the mode of a folder that was there alone', async () => {
    mkdirSync(join(folder, 'state'));
    chmodSync(join(folder, 'state'), 0o755);
    await open();
    expect(statSync(join(folder, 'state')).mode & 0o777).toBe(0o755);
  });

  it('is whole whenever it is read while updates go on', async () => {
    const store = await open();
    await store.update(putBots(1000));
    let writing = true;
    const updates = (async () => {
      for (let n = 0; n < 40; n++) {
        now += HOUR; // Each lets the file be written anew.
        await store.update(grow);
      }
    })().finally(() => {
      writing = false;
    });
    const seen = new Set<string>();
    while (writing) {
      const text = readFileSync(path, 'utf8');
      // The end is where a file that is written in place shows it first.
      expect(text.endsWith('"upgrades":{},"migrations":{}}')).toBe(true);
      seen.add(text);
      await new Promise(setImmediate);
    }
    await updates;
    expect(seen.size).toBeGreaterThan(1);
    // Journals that are not needed any more are removed beside it.
    await store.close();
    expect((await onDisk()).generation).toBe(40);
  });

  it('clears away temporary files of a killed writer and nothing else', async () => {
    await (await open()).close();
    const left = ['state.json.tmp-0123456789ab', 'state.json.good-2026-01-01T00:00:00.000Z.tmp-0123456789ab'];
    for (const name of left) writeFileSync(join(folder, 'state', name), '{"sch');
    writeFileSync(`${path}.mine`, 'kept');
    await open();
    expect(names().filter((name) => left.includes(name))).toEqual([]);
    expect(names()).toContain('state.json.mine');
  });

  it('takes 1,000 concurrent updates of a state with 1,000 bots in a few writes', async () => {
    const store = await open();
    await store.update(putBots(1000));
    const results = await Promise.all(Array.from({ length: 1000 }, () => store.update(grow)));
    expect(results).toEqual(results.map((_, n) => n + 1));
    expect((await onDisk()).generation).toBe(1000);
    // The bots, the first change, and what came while it was written.
    expect((await onDisk()).journal).toMatchObject({ sequence: 0 });
    expect(readFileSync(join(folder, 'state', journals()[0] ?? ''), 'utf8').match(/"sequence":[123],/g)).toHaveLength(
      3,
    );
  });
});

describe('file store: the lock', () => {
  it('refuses a second opener and names the pid of the first', async () => {
    await open();
    const error = await refused(open());
    expect(error.code).toBe('CONFLICT');
    expect(error.message).toContain(`pid ${process.pid}`);
  });

  it('is one lock for one file, also through a link', async () => {
    await open();
    symlinkSync(join(folder, 'state'), join(folder, 'link'));
    path = join(folder, 'link/state.json');
    expect((await refused(open())).code).toBe('CONFLICT');
    symlinkSync(join(folder, 'state/state.json'), join(folder, 'file-link.json'));
    path = join(folder, 'file-link.json');
    expect((await refused(open())).code).toBe('CONFLICT');
  });

  it('lets exactly one of several openers in', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => open()));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is not kept by a child process that outlives the holder', async () => {
    const store = await open();
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    cleanUps.push(() => child.kill('SIGKILL'));
    await once(child, 'spawn');
    await store.close();
    await open();
  });

  it('is free again after the opening failed', async () => {
    await (await open()).close();
    const good = readFileSync(path);
    writeFileSync(path, 'nonsense');
    expect((await refused(open())).code).toBe('STORE_CORRUPT');
    writeFileSync(path, good);
    await open();
  });
});

describe('file store: kill -9', () => {
  it('in the middle of writing loses no acknowledged update, and the next one gets in at once', {
    timeout: 60_000,
  }, async () => {
    let known = 0;
    for (let round = 0; round < 20; round++) {
      known = Math.max(known, await countUntilKilled(Math.random() * 60));
      expect((await onDisk()).generation).toBeGreaterThanOrEqual(known);
    }
    expect(known).toBeGreaterThan(20);
    expect((await open()).current().generation).toBeGreaterThanOrEqual(known);
  });

  /** Runs the counter, kills it `ms` after it opened the store, and returns the last number it acknowledged. */
  async function countUntilKilled(ms: number): Promise<number> {
    const child = spawn(process.execPath, [COUNTER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    cleanUps.push(() => child.kill('SIGKILL'));
    let last = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'open') void systemClock.sleep(ms).then(() => child.kill('SIGKILL'));
      else last = Math.max(last, Number(line));
    }
    expect(await ended).toEqual([null, 'SIGKILL']);
    return last;
  }
});

describe('file store: a write that fails', () => {
  it('rejects every update that waited, goes back to the last durable state and tries again later', async () => {
    const store = await open();
    await store.update(grow);
    const away = join(folder, 'away');
    renameSync(join(folder, 'state'), away);
    const failed = await Promise.all(Array.from({ length: 5 }, () => refused(store.update(grow))));
    expect(failed.map(({ code }) => code)).toEqual(new Array(5).fill('STORE_UNAVAILABLE'));
    expect(store.current().generation).toBe(1);
    renameSync(away, join(folder, 'state'));
    expect((await onDisk()).generation).toBe(1);
    expect(await store.update(grow)).toBe(2);
    expect((await onDisk()).generation).toBe(2);
  });

  it('also rejects what came during the failed write, though the next one would work', async () => {
    const store = await open();
    await store.update(grow);
    const away = join(folder, 'away');
    renameSync(join(folder, 'state'), away);
    const first = refused(store.update(grow)).finally(() => renameSync(away, join(folder, 'state')));
    const second = refused(store.update(grow));
    expect([(await first).code, (await second).code]).toEqual(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
    expect(await store.update(grow)).toBe(2);
    expect((await onDisk()).generation).toBe(2);
  });

  it('because the journal was removed is made good from memory by the next one', async () => {
    const store = await open();
    await store.update(putBot('a'));
    for (const name of journals()) rmSync(join(folder, 'state', name));
    expect((await refused(store.update(grow))).code).toBe('STORE_UNAVAILABLE');
    expect(await store.update(grow)).toBe(1);
    expect(await onDisk()).toMatchObject({ generation: 1, bots: { a: {} } });
  });

  it('because the folder was replaced touches nothing of whoever works there now', async () => {
    const store = await open();
    await store.update(putBot('a'));
    renameSync(join(folder, 'state'), join(folder, 'away'));
    const other = await open();
    await other.update(putBot('b'));
    for (let n = 0; n < 3; n++) expect((await refused(store.update(grow))).code).toBe('STORE_UNAVAILABLE');
    await store.close();
    expect(Object.keys((await onDisk()).bots as object)).toEqual(['b']);
    await other.update(grow);
    path = join(folder, 'away/state.json');
    expect((await open()).current().bots.keys).toEqual(['a']);
  });

  it('fails a change that changes nothing but rests on one that was lost', async () => {
    const store = await open();
    renameSync(join(folder, 'state'), join(folder, 'away'));
    const lost = refused(store.update(putBot('a')));
    const saw = refused(store.update((state) => ({ state, result: state.bots.keys })));
    expect([(await lost).code, (await saw).code]).toEqual(['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
    renameSync(join(folder, 'away'), join(folder, 'state'));
    expect(await store.update((state) => ({ state, result: state.bots.keys }))).toEqual([]);
  });

  it.skipIf(!canMount())('on a full disk says so, and works again once there is room', async () => {
    const disk = mountTmpfs();
    path = join(disk, 'state/state.json');
    const store = await open();
    await store.update(putBot('a'));
    const ballast = join(disk, 'ballast');
    expect(() => writeFileSync(ballast, Buffer.alloc(1 << 20))).toThrow('ENOSPC');
    // What is left of the last block of the journal takes some more.
    const error = await refused(fillUp(store));
    expect(error.code).toBe('STORE_UNAVAILABLE');
    expect(error.message).toContain('ENOSPC');
    const kept = store.current().bots.keys;
    expect(Object.keys((await onDisk()).bots as object)).toEqual(kept);
    expect(readdirSync(join(disk, 'state')).filter((name) => name.includes('.tmp-'))).toEqual([]);
    rmSync(ballast);
    await store.update(putBot('c'));
    await store.close();
    expect((await open()).current().bots.keys).toEqual([...kept, 'c'].sort());
  });

  async function fillUp(store: Store): Promise<void> {
    for (let n = 0; n < 100; n++) await store.update(putBot(`more-${n}`));
  }
});

describe('file store: a file that is not a valid state', () => {
  const states = (change: (state: Record<string, unknown>) => unknown): string =>
    JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8'))));

  const broken: readonly [string, () => string | Buffer, ErrorCode, RegExp][] = [
    ['empty', () => '', 'STORE_CORRUPT', /it is empty/],
    ['cut off', () => readFileSync(path).subarray(0, -20), 'STORE_CORRUPT', /JSON ends too early/],
    [
      'broken in the middle',
      () => readFileSync(path, 'utf8').replace('"bots":', '"bots"'),
      'STORE_CORRUPT',
      /broken at character \d+/,
    ],
    ['full of zeros', () => Buffer.alloc(4096), 'STORE_CORRUPT', /JSON is broken/],
    ['not UTF-8', () => Buffer.from([0x7b, 0xff, 0x7d]), 'STORE_CORRUPT', /not UTF-8/],
    ['a list', () => '[]', 'STORE_CORRUPT', /does not hold a JSON object/],
    ['without a schema', () => '{}', 'STORE_CORRUPT', /no schema version/],
    ['of an unknown old schema', () => '{"schema":0}', 'STORE_CORRUPT', /no way from its schema 0/],
    ['of a newer schema', () => '{"schema":99}', 'UNSUPPORTED', /newer Bunkhouse \(schema 99; this one knows 5\)/],
    ['without its place in the chain', () => states(({ journal: _, ...rest }) => rest), 'STORE_CORRUPT', /journal: /],
    ['without its bots', () => states(({ bots: _, ...rest }) => rest), 'STORE_CORRUPT', /bots: /],
    ['with a foreign key', () => states((state) => ({ ...state, more: 1 })), 'STORE_CORRUPT', /"more"/],
    [
      'with a wrong field deep inside',
      () => readFileSync(path, 'utf8').replace('"slot":3', '"slot":"3"'),
      'STORE_CORRUPT',
      /bots\.a\.placement\.slot: /,
    ],
    [
      'with a bot under a wrong id',
      () => states((state) => ({ ...state, bots: { b: botRecord('a') } })),
      'STORE_CORRUPT',
      /bots\.b: filed under a wrong id/,
    ],
  ];

  it.each(broken)('%s is refused and left as it is', async (_, content, code, message) => {
    const store = await open();
    await store.update(putBot('a'));
    await store.close();
    const bytes = Buffer.from(content());
    writeFileSync(path, bytes);
    const error = await refused(open());
    expect(error.code).toBe(code);
    expect(error.message).toContain(path);
    expect(error.message).toMatch(message);
    expect(readFileSync(path)).toEqual(bytes);
  });

  it('is answered with the last good copy, and going on from it works as the message says', async () => {
    const store = await open();
    await store.update(putBot('a'));
    await store.close();
    now += HOUR;
    await (await open()).close();
    now += HOUR;
    await (await open()).close();
    writeFileSync(`${path}.good-2027-01-01T00:00:00.000Z`, '{"schema":1,'); // a copy that went bad itself
    writeFileSync(path, readFileSync(path).subarray(0, 50));
    const { message } = await refused(open());
    const [, from, to] = /cp (\S+) (\S+)$/.exec(message) ?? [];
    execFileSync('cp', [from ?? '', to ?? '']);
    expect((await open()).current().bots.keys).toEqual(['a']);
  });

  it('that has gone is not taken for a new installation', async () => {
    await (await open()).close();
    rmSync(path);
    const error = await refused(open());
    expect(error.code).toBe('STORE_CORRUPT');
    expect(error.message).toMatch(/it is gone.*last good copy/);
  });

  it('is described without any of its content', async () => {
    const store = await open();
    await store.update(putBot('a'));
    await store.close();
    writeFileSync(path, readFileSync(path, 'utf8').replace('"c2VjcmV0"', 'c2VjcmV0'));
    const error = await refused(open());
    expect(`${error.message} ${JSON.stringify(error.details)} ${error.cause}`).not.toContain('c2Vj');
  });
});

describe('file store: good copies', () => {
  it('are made when it is opened and once an hour while it changes, and are private', async () => {
    const store = await open();
    expect(goodCopies()).toEqual(['state.json.good-2026-01-01T00:00:00.000Z']);
    await store.update(grow);
    expect(goodCopies()).toHaveLength(1);
    now += HOUR;
    await store.update(grow);
    await store.close();
    expect(goodCopies()).toHaveLength(2);
    expect(statSync(join(folder, 'state', goodCopies()[0] ?? '')).mode & 0o777).toBe(0o600);
  });

  it('are not pushed out by a supervisor that starts over and over', async () => {
    for (let n = 0; n < 5; n++) {
      now += HOUR;
      await (await open()).close();
    }
    expect(goodCopies()).toHaveLength(1);
  });

  it('are the newest 24', async () => {
    const store = await open();
    for (let n = 0; n < 30; n++) {
      now += HOUR;
      const newest = `state.json.good-${new Date(now).toISOString()}`;
      // Not the first one when the copy before is just being finished.
      await waitFor(newest, async () => {
        await store.update(grow);
        return goodCopies().includes(newest);
      });
    }
    await waitFor('24 copies', () => goodCopies().length === 24);
    expect(goodCopies().at(-1)).toBe('state.json.good-2026-01-02T06:00:00.000Z');
  });
});

describe('file store: migrations', () => {
  const migrations = new Map<number, Migration>([
    [-1, ({ label, ...state }) => ({ ...state, installation: label })],
    [0, ({ count, ...state }) => ({ ...state, generation: count })],
    ...MIGRATIONS,
  ]);
  const old = { schema: -1, label: 'old-one', count: 41, bots: {}, containers: {}, tokens: {}, replies: {} };

  beforeEach(() => {
    mkdirSync(join(folder, 'state'));
    writeFileSync(path, JSON.stringify(old));
  });

  it('bring an old file forward step by step, durably, and keep the old one', async () => {
    const store = await open(migrations);
    expect(store.current()).toMatchObject({ schema: SCHEMA_VERSION, installation: 'old-one', generation: 41 });
    expect(await onDisk()).toMatchObject({ schema: SCHEMA_VERSION, generation: 41 });
    expect(JSON.parse(readFileSync(join(folder, 'state', goodCopies()[0] ?? ''), 'utf8'))).toEqual(old);
  });

  it('that miss a step refuse the file', async () => {
    const error = await refused(open(new Map([...migrations].slice(0, 1))));
    expect(error.code).toBe('STORE_CORRUPT');
    expect(error.message).toContain('no way from its schema 0 to 5');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(old);
  });
});

function canMount(): boolean {
  const mount = mkdtempSync(join(tmpdir(), 'bunkhouse-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount], { stdio: 'ignore' });
    execFileSync('umount', [mount]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(mount, { recursive: true });
  }
}

/** A file system of 256 KiB, gone after the test. */
function mountTmpfs(): string {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
  cleanUps.push(() => execFileSync('umount', [disk]));
  return disk;
}
