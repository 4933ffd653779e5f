import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackupOverview, BackupPage, BackupView, RestoreAnswer } from '../../lib/services/backup-api.ts';
import { demoBot } from '../fixtures/exchange/demo-bot.ts';
import { type PaperExchange, startPaperExchange } from '../fixtures/exchange/server.ts';
import { createSandbox, type Sandbox, sleep } from './support.ts';

/** Real FreqTrade bots that trade on the paper exchange while they are backed up, restored, and the supervisor is killed. */

const BOT = 'trader';
const DATABASE = 'tradesv3.dryrun.sqlite';
/** Milliseconds after the request at which the supervisor is killed. */
const MOMENTS = [0, 30, 80, 150, 300, 600, 1200, 2500];

type Rows = Readonly<Record<'trades' | 'orders', readonly Record<string, unknown>[]>>;

let exchange: PaperExchange;
let sandbox: Sandbox;

beforeAll(async () => {
  exchange = await startPaperExchange({ host: '127.0.0.1', port: 0 });
  sandbox = await createSandbox({ basePort: 25_700, env: { BACKUP_KEEP: 'last=50' } });
  await sandbox.start();
  await sandbox.client.create(await demoBot(BOT, exchange.url));
  await sandbox.untilState(BOT, 'running', 120);
  await sandbox.until('it trades', async () => rowsOf(BOT).trades.length >= 3, 120);
});
afterAll(async () => {
  await sandbox?.dispose();
  await exchange?.close();
});

function homeOf(bot: string): string {
  const [home = ''] = globSync(`${sandbox.directory}/**/bots/${bot}`);
  expect(home, `the directory of ${bot}`).not.toBe('');
  return home;
}

function rowsIn(path: string): Rows {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const all = (table: string) => database.prepare(`SELECT * FROM ${table} ORDER BY id`).all();
    return { trades: all('trades'), orders: all('orders') };
  } finally {
    database.close();
  }
}

const rowsOf = (bot: string): Rows => rowsIn(join(homeOf(bot), DATABASE));

/** What the packed archive holds. */
async function rowsInBackup({ id }: BackupView): Promise<Rows> {
  const folder = join(sandbox.directory, 'unpacked', id);
  await mkdir(folder, { recursive: true });
  execFileSync('tar', ['-xzf', join(sandbox.directory, 'backups', `${id}.tar.gz`), '-C', folder]);
  return rowsIn(join(folder, DATABASE));
}

const backUp = (bot = BOT) => sandbox.client.post<BackupView>(`/api/bots/${bot}/backup`);
const restore = (id: string, body: object = {}) =>
  sandbox.client.post<RestoreAnswer>(`/api/backups/${id}/restore`, body);
const list = async (query = '') => (await sandbox.client.get<BackupPage>(`/api/backups${query}`)).backups;

async function restoreOf(bot: string) {
  const { bots } = await sandbox.client.get<BackupOverview>(`/api/backups/overview?bot=${bot}`);
  return bots[0]?.restore ?? null;
}

const untilRestored = (bot: string) =>
  sandbox.until(`${bot} is restored`, async () => (await restoreOf(bot))?.state !== 'under-way', 60);

const isIn = (rows: readonly Record<string, unknown>[], id: unknown): boolean => rows.some((row) => row.id === id);

describe('a bot that trades', () => {
  it('is backed up while it goes on, with every trade there was', async () => {
    const { pid } = await sandbox.client.bot(BOT);
    for (let n = 0; n < 5; n++) {
      const before = rowsOf(BOT);
      const backup = await backUp();
      expect(backup).toMatchObject({ good: true, databases: 1, damaged: [], skipped: [], kind: 'asked' });
      const kept = await rowsInBackup(backup);
      for (const { id } of before.trades) expect(isIn(kept.trades, id)).toBe(true);
      for (const { id } of before.orders) expect(isIn(kept.orders, id)).toBe(true);
      await sleep(500);
    }
    expect(await sandbox.client.bot(BOT)).toMatchObject({ pid, state: 'running', restarts: 0 });
  });

  it('comes back in place with exactly the rows of the backup, and trades on with them', async () => {
    const backup = await backUp();
    const kept = await rowsInBackup(backup);
    await sandbox.until('it trades on', async () => rowsOf(BOT).orders.length > kept.orders.length, 120);
    await sandbox.client.post(`/api/bots/${BOT}/stop`);
    await sandbox.untilState(BOT, 'stopped');
    const replaced = rowsOf(BOT);
    expect(await restore(backup.id)).toMatchObject({ how: 'in-place' });
    await untilRestored(BOT);
    await sandbox.untilState(BOT, 'stopped');
    expect(rowsOf(BOT)).toEqual(kept);
    const [present] = (await list(`?bot=${BOT}&kind=before-restore`)).slice(-1);
    expect(await rowsInBackup(present as BackupView)).toEqual(replaced);
    await sandbox.client.post(`/api/bots/${BOT}/start`);
    await sandbox.untilState(BOT, 'running', 120);
    await sandbox.until('it trades on', async () => rowsOf(BOT).orders.length > kept.orders.length, 120);
    for (const { id } of kept.trades) expect(isIn(rowsOf(BOT).trades, id)).toBe(true);
  });

  it('comes to life as a new bot with every row, stopped until it is started', async () => {
    const backup = await backUp();
    const kept = await rowsInBackup(backup);
    const answer = await restore(backup.id, { as: 'copy' });
    expect(answer.notes.join(' ')).toMatch(/stays stopped.*must not work on one account/);
    await untilRestored('copy');
    await sandbox.untilState('copy', 'stopped');
    expect(rowsOf('copy')).toEqual(kept);
    await sandbox.client.post('/api/bots/copy/start');
    await sandbox.untilState('copy', 'running', 120);
    for (const { id } of kept.trades) expect(isIn(rowsOf('copy').trades, id)).toBe(true);
  });

  it('comes back from the archive that its deletion left', async () => {
    await sandbox.client.post('/api/bots/copy/stop');
    await sandbox.untilState('copy', 'stopped');
    const before = rowsOf('copy');
    await sandbox.client.delete('/api/bots/copy');
    await sandbox.until('it is gone', async () => (await sandbox.client.request('/api/bots/copy')).status === 404);
    const [archive] = await list('?bot=copy&kind=deleted');
    expect(archive).toMatchObject({ shelf: 'archives', owner: 'admin', template: 'freqtrade' });
    await restore(archive?.id ?? '');
    await untilRestored('copy');
    await sandbox.untilState('copy', 'stopped');
    expect(rowsOf('copy')).toEqual(before);
    await sandbox.client.delete('/api/bots/copy');
  });
});

describe('the supervisor killed with kill -9', () => {
  it('while a backup is made: there is a whole one or none, and the bot never notices', async () => {
    const { pid } = await sandbox.client.bot(BOT);
    const outcomes: string[] = [];
    for (const moment of MOMENTS) {
      const before = new Set((await list(`?bot=${BOT}`)).map(({ id }) => id));
      const asked = backUp().catch(() => null);
      await sleep(moment);
      await sandbox.stop('SIGKILL');
      await asked;
      await sandbox.start();
      const made = (await list(`?bot=${BOT}`)).filter(({ id }) => !before.has(id));
      for (const backup of made) expect((await rowsInBackup(backup)).trades.length).toBeGreaterThan(0);
      outcomes.push(`${moment} ms: ${made.length === 0 ? 'none' : 'whole'}`);
      await sandbox.untilState(BOT, 'running');
      expect((await sandbox.client.bot(BOT)).pid).toBe(pid);
    }
    console.log(`backup, killed after ${outcomes.join(', ')}`);
    expect(await backUp()).toMatchObject({ good: true });
  });

  it('while a restore is carried out: it goes on, no trade is lost, and the bot runs once', async () => {
    const backup = await backUp();
    const kept = await rowsInBackup(backup);
    const outcomes: string[] = [];
    for (const moment of MOMENTS) {
      const asked = restore(backup.id).catch(() => null);
      await sleep(moment);
      await sandbox.stop('SIGKILL');
      const wished = (await asked) !== null;
      await sandbox.start();
      await untilRestored(BOT);
      await sandbox.untilState(BOT, 'running', 120);
      expect(new Set(sandbox.processesOf(BOT).map(({ pid }) => pid)).size, 'processes of the bot').toBe(1);
      for (const { id } of kept.trades) expect(isIn(rowsOf(BOT).trades, id)).toBe(true);
      outcomes.push(`${moment} ms: ${wished ? 'asked, restored' : 'not answered, running'}`);
    }
    for (const present of await list(`?bot=${BOT}&kind=before-restore`)) {
      expect(present.good).toBe(true);
      expect((await rowsInBackup(present)).trades.length).toBeGreaterThan(0);
    }
    console.log(`restore, killed after ${outcomes.join(', ')}`);
  });
});
