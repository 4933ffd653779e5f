import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type Docker from 'dockerode';
import { DATA_DIRECTORY } from '../../lib/drivers/docker/spec.ts';
import { execPython } from '../support/docker-harness.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

type Row = Readonly<Record<string, unknown>>;

/** Everything a bot knows of its trades. */
export interface Rows {
  readonly trades: readonly Row[];
  readonly orders: readonly Row[];
}

const DATABASE = 'user_data/tradesv3.sqlite';
const ENDINGS = ['', '-wal', '-shm'];
/** A database that is written to may be torn when it is copied. */
const TRIES = 5;

/** Of a bot's folder on this machine, without touching its files. Throws when its database is not whole. */
export async function rowsInFolder(folder: string): Promise<Rows> {
  for (let tries = 1; ; tries++) {
    const copies = await makeTempDir();
    try {
      for (const ending of ENDINGS) {
        const file = join(folder, `${DATABASE}${ending}`);
        if (existsSync(file)) await copyFile(file, join(copies, `copy${ending}`));
      }
      return rowsIn(join(copies, 'copy'));
    } catch (error) {
      if (tries === TRIES) throw error;
    } finally {
      await removeDir(copies);
    }
  }
}

/** Of a bot in the pool, without touching its files. */
export async function rowsInPool(engine: Docker, container: string, bot: string): Promise<Rows> {
  const file = `${DATA_DIRECTORY}/bots/${bot}/${DATABASE}`;
  const text = await execPython(engine, container, DUMP.replace('FILE', JSON.stringify(file)));
  if (text === null) throw new Error(`${container} does not run`);
  return JSON.parse(text) as Rows;
}

/** Rows of closed trades are final; of open ones the bot goes on to write prices and stop losses. */
export function closedOf({ trades }: Rows): readonly Row[] {
  return trades.filter(({ is_open }) => is_open === 0);
}

/** What never changes of a trade that is open. */
export function essenceOf({ trades, orders }: Rows): readonly string[] {
  return [
    ...trades.map(({ id, pair, open_date, open_rate, amount, stake_amount }) =>
      JSON.stringify(['trade', id, pair, open_date, open_rate, amount, stake_amount]),
    ),
    ...orders.map(({ id, ft_trade_id, order_id, side, price, filled }) =>
      JSON.stringify(['order', id, ft_trade_id, order_id, side, price, filled]),
    ),
  ];
}

// Private

function rowsIn(file: string): Rows {
  const database = new DatabaseSync(file);
  try {
    const [check] = database.prepare('PRAGMA integrity_check').all();
    if (check?.integrity_check !== 'ok') throw new Error(`${file} is not whole: ${JSON.stringify(check)}`);
    const all = (table: string) =>
      database
        .prepare(`SELECT * FROM ${table} ORDER BY id`)
        .all()
        .map((row) => ({ ...row }));
    return { trades: all('trades'), orders: all('orders') };
  } finally {
    database.close();
  }
}

const DUMP = `
import json, os, shutil, sqlite3, tempfile
file = FILE
def rows(copy):
    with sqlite3.connect(copy) as database:
        database.row_factory = sqlite3.Row
        assert database.execute('PRAGMA integrity_check').fetchone()[0] == 'ok'
        every = lambda table: [dict(row) for row in database.execute('SELECT * FROM ' + table + ' ORDER BY id')]
        return {'trades': every('trades'), 'orders': every('orders')}
def look():
    with tempfile.TemporaryDirectory() as folder:
        for ending in ['', '-wal', '-shm']:
            if os.path.exists(file + ending):
                shutil.copy(file + ending, os.path.join(folder, 'copy' + ending))
        return rows(os.path.join(folder, 'copy'))
for tries in range(${TRIES}):
    try:
        print(json.dumps(look()))
        break
    except (sqlite3.DatabaseError, AssertionError):
        if tries == ${TRIES} - 1:
            raise`;
