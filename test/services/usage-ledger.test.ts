import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { World } from '../../lib/planner/world.ts';
import { openAccounts } from '../../lib/services/accounts.ts';
import { UsageLedger } from '../../lib/services/usage-ledger.ts';
import { createUsageApi } from '../../lib/services/usage-report.ts';
import { createUsageFiles } from '../../lib/store/usage-files.ts';
import type { UsageStore } from '../../lib/store/usage-store.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { aBot, aContainer, anAgent, aState, aWorld, observedBot } from '../planner/builders.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

const ADMIN = { role: 'admin' } as const;
const START = Date.UTC(2026, 4, 1, 10);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let folder: string;
let clock: ManualClock;

beforeEach(async () => {
  folder = await makeTempDir();
  clock = new ManualClock(START);
});
afterEach(() => removeDir(folder));

const files = () => createUsageFiles({ folder, clock, log: silentLogger });

async function open(store: UsageStore = files()): Promise<UsageLedger> {
  const ledger = new UsageLedger({ store, clock, onUsage: () => {} });
  await ledger.load();
  return ledger;
}

/** A picture in which these bots run since START, each in a container of its own; an owner for each. */
function world(owners: Readonly<Record<string, string>>): World {
  const ids = Object.keys(owners);
  return aWorld({
    now: clock.now(),
    state: aState(
      ids.map((id) =>
        aBot(id, {
          owner: owners[id] as string,
          createdAt: new Date(START).toISOString(),
          placement: { container: `c-${id}`, slot: 0, port: 9000 },
        }),
      ),
      ids.map((id) => aContainer(`c-${id}`)),
    ),
    agents: new Map(
      ids.map((id) => [
        `c-${id}`,
        { kind: 'seen', value: anAgent([observedBot(aBot(id), { pid: 1, startedAt: START / 1000 })]) },
      ]),
    ),
  });
}

async function seconds(ledger: UsageLedger, from = 0, to = START * 2): Promise<Record<string, number>> {
  const { entries } = await ledger.account(from, to);
  return Object.fromEntries(entries.map(({ owner, bot, usage }) => [`${owner}/${bot}`, usage.runningSeconds]));
}

describe('the ledger', () => {
  it('writes an hour that is over into a file of its own, and keeps what comes to it later', async () => {
    const ledger = await open();
    await clock.advance(HOUR + 60_000);
    ledger.observe(world({ b: 'ann' }));
    await ledger.write();
    expect((await readdir(folder)).sort()).toEqual(['2026-05-01T10.json', 'open.json']);
    expect(JSON.parse(await readFile(join(folder, '2026-05-01T10.json'), 'utf8')).usage).toEqual({
      ann: { b: [3600, 0, 0] },
    });
    // A bot found only now that was there all the time.
    ledger.observe(world({ b: 'ann', late: 'ann' }));
    expect(await seconds(ledger)).toEqual({ 'ann/b': 3660, 'ann/late': 3660 });
    await ledger.write();
    expect(await seconds(await open())).toEqual({ 'ann/b': 3660, 'ann/late': 3660 });
  });

  it('loses nothing that is counted while an hour is being written', async () => {
    const real = files();
    let during = (): void => {};
    const store: UsageStore = {
      ...real,
      async save(period, entries) {
        await real.save(period, entries);
        during();
      },
    };
    const ledger = await open(store);
    await clock.advance(HOUR);
    ledger.observe(world({ b: 'ann' }));
    during = () => ledger.observe(world({ late: 'ann' }));
    await ledger.write();
    during = () => {};
    expect(await seconds(ledger)).toEqual({ 'ann/b': 3600, 'ann/late': 3600 });
    await ledger.write();
    expect(await seconds(await open())).toEqual({ 'ann/b': 3600, 'ann/late': 3600 });
  });

  it('fills the time it was away, over hours, from what it saw last', async () => {
    const ledger = await open();
    await clock.advance(60_000);
    ledger.observe(world({ b: 'ann' }));
    await ledger.write();
    await clock.advance(3 * HOUR);
    const next = await open();
    next.observe(world({ b: 'ann' }));
    expect(await seconds(next)).toEqual({ 'ann/b': 3 * 3600 + 60 });
    expect(await seconds(next, START + HOUR, START + 2 * HOUR)).toEqual({ 'ann/b': 3600 });
  });

  it('keeps what deleted bots used, and tells owners of the same id apart', async () => {
    const ledger = await open();
    await clock.advance(60_000);
    ledger.observe(world({ b: 'ann' }));
    ledger.observe(world({}));
    await clock.advance(60_000);
    ledger.observe(world({ b: 'bob' }));
    expect(await seconds(ledger)).toEqual({ 'ann/b': 60, 'bob/b': 120 });
  });

  it('goes on after its open file was damaged: from the end of the last hour that is safe', async () => {
    const ledger = await open();
    await clock.advance(HOUR + 10_000);
    ledger.observe(world({ b: 'ann' }));
    await ledger.write();
    await writeFile(join(folder, 'open.json'), 'nonsense');
    await clock.advance(60_000);
    const next = await open();
    next.observe(world({ b: 'ann' }));
    expect(await seconds(next)).toEqual({ 'ann/b': 3600 + 70 });
  });

  it('keeps everything in memory while the disk is full', async () => {
    const real = files();
    let full = true;
    const store: UsageStore = {
      ...real,
      saveOpen: (ledger) =>
        full ? Promise.reject(new BunkhouseError('STORE_UNAVAILABLE', 'ENOSPC')) : real.saveOpen(ledger),
    };
    const ledger = await open(store);
    for (let hours = 0; hours < 3; hours += 1) {
      await clock.advance(HOUR);
      ledger.observe(world({ b: 'ann' }));
      await expect(ledger.write()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    }
    expect(await seconds(ledger)).toEqual({ 'ann/b': 3 * 3600 });
    expect(await readdir(folder)).toEqual([]);
    full = false;
    await ledger.write();
    expect(await seconds(await open())).toEqual({ 'ann/b': 3 * 3600 });
  });

  it('counts nothing until it could read what it has, and then all of it', async () => {
    const real = files();
    const before = await open();
    await clock.advance(60_000);
    before.observe(world({ b: 'ann' }));
    await before.write();
    let broken = true;
    const store: UsageStore = {
      ...real,
      loadOpen: () => (broken ? Promise.reject(new BunkhouseError('STORE_UNAVAILABLE', 'EIO')) : real.loadOpen()),
    };
    const ledger = new UsageLedger({ store, clock, onUsage: () => {} });
    await expect(ledger.load()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await clock.advance(60_000);
    ledger.observe(world({ b: 'ann' }));
    await expect(ledger.account(0, START * 2)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    broken = false;
    await ledger.write();
    await clock.advance(60_000);
    ledger.observe(world({ b: 'ann' }));
    expect(await seconds(ledger)).toEqual({ 'ann/b': 180 });
  });

  it('is not misled by a clock that is set', async () => {
    const ledger = await open();
    const past = new ManualClock(START);
    await clock.advance(60_000);
    ledger.observe(world({ b: 'ann' }));
    // The picture says it is years later, the monotonic clock that it is a minute.
    await clock.advance(60_000);
    ledger.observe({ ...world({ b: 'ann' }), now: START + 900 * DAY });
    await clock.advance(60_000);
    ledger.observe({ ...world({ b: 'ann' }), now: past.now() });
    expect(await seconds(ledger)).toEqual({ 'ann/b': 180 });
  });

  it('has days instead of hours after 35 days', async () => {
    const ledger = await open();
    await clock.advance(20 * HOUR);
    ledger.observe(world({ b: 'ann' }));
    await ledger.write();
    await clock.advance(36 * DAY);
    await ledger.write();
    expect((await readdir(folder)).sort()).toEqual(['2026-05-01.json', '2026-05-02.json', 'open.json']);
    expect(await seconds(ledger)).toEqual({ 'ann/b': 20 * 3600 });
    const { from, to } = await ledger.account(START + 2 * HOUR, START + 3 * HOUR);
    expect([from, to]).toEqual([Date.UTC(2026, 4, 1), Date.UTC(2026, 4, 2)]);
  });

  it('has a picture counted once, however many passes show it', async () => {
    const ledger = await open();
    await clock.advance(60_000);
    const picture = world({ b: 'ann' });
    ledger.observe(picture);
    await clock.advance(60_000);
    ledger.observe({ ...picture, now: clock.now() });
    expect(await seconds(ledger)).toEqual({ 'ann/b': 60 });
  });
});

describe('accounts', () => {
  it('are written once a minute and when they are closed, and tell trouble once', async () => {
    const errors: string[] = [];
    const log = { ...silentLogger, error: (_: object, message: string) => void errors.push(message) };
    const real = files();
    let full = true;
    let writes = 0;
    const store = {
      ...real,
      saveOpen: (ledger: Parameters<UsageStore['saveOpen']>[0]) => {
        writes += 1;
        return full ? Promise.reject(new BunkhouseError('STORE_UNAVAILABLE', 'ENOSPC')) : real.saveOpen(ledger);
      },
    };
    const accounts = await openAccounts({ store, clock, log, onUsage: () => {} });
    const minute = async (): Promise<void> => {
      const before = writes;
      await clock.advance(60_000);
      while (writes === before) await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await minute();
    await minute();
    expect(errors).toEqual(['the usage cannot be written and is tried again: ENOSPC']);
    full = false;
    accounts.observe(world({ b: 'ann' }));
    await accounts.close();
    expect(writes).toBe(3);
    expect(await seconds(await open())).toEqual({ 'ann/b': 120 });
  });
});

describe('a report', () => {
  const report = async () => {
    const ledger = await open();
    await clock.advance(90 * 60_000);
    ledger.observe(world({ b: 'ann', a: 'ann', z: 'bob' }));
    return createUsageApi(ledger, clock);
  };
  const row = (owner: string, instanceId: string | null, runningSeconds: number) => ({
    owner,
    instanceId,
    runningSeconds,
    pssByteSeconds: 0,
    cpuSeconds: 0,
  });

  it('has the last day by bot when nothing else is asked for', async () => {
    expect(await (await report()).usage(ADMIN, { by: 'bot' })).toEqual({
      from: '2026-04-30T11:00:00.000Z',
      to: '2026-05-01T12:00:00.000Z',
      by: 'bot',
      usage: [row('ann', 'a', 5400), row('ann', 'b', 5400), row('bob', 'z', 5400)],
      total: { runningSeconds: 16_200, pssByteSeconds: 0, cpuSeconds: 0 },
    });
  });

  it('sums up owners', async () => {
    const api = await report();
    expect((await api.usage(ADMIN, { by: 'owner' })).usage).toEqual([row('ann', null, 10_800), row('bob', null, 5400)]);
    const anns = await api.usage(ADMIN, { by: 'owner', owner: 'ann' });
    expect(anns).toMatchObject({ usage: [row('ann', null, 10_800)], total: { runningSeconds: 10_800 } });
  });

  it('shows owners their own, and refuses them others', async () => {
    const api = await report();
    const bob = { role: 'owner', owner: 'bob' } as const;
    for (const query of [{ by: 'bot' }, { by: 'bot', owner: 'bob' }] as const) {
      expect(await api.usage(bob, query)).toMatchObject({
        usage: [row('bob', 'z', 5400)],
        total: { runningSeconds: 5400 },
      });
    }
    await expect(api.usage(bob, { by: 'bot', owner: 'ann' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('counts whole hours: from inclusive, to exclusive, and says which', async () => {
    const api = await report();
    const first = await api.usage(ADMIN, { by: 'owner', owner: 'bob', from: START, to: START + HOUR });
    expect(first).toMatchObject({ to: '2026-05-01T11:00:00.000Z', total: { runningSeconds: 3600 } });
    const second = await api.usage(ADMIN, { by: 'owner', owner: 'bob', from: START + HOUR, to: START + 2 * HOUR });
    expect(second).toMatchObject({ from: '2026-05-01T11:00:00.000Z', total: { runningSeconds: 1800 } });
    const middle = await api.usage(ADMIN, { by: 'owner', owner: 'bob', from: START + 60_000, to: START + 120_000 });
    expect(middle).toMatchObject({ from: '2026-05-01T10:00:00.000Z', total: { runningSeconds: 3600 } });
  });

  it('refuses a time that ends before it begins', async () => {
    const api = await report();
    for (const query of [{ from: START, to: START }, { from: START + 2, to: START }, { from: START + DAY }]) {
      await expect(api.usage(ADMIN, { by: 'bot', ...query })).rejects.toMatchObject({ code: 'INVALID' });
    }
  });
});
