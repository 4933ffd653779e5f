import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Discovery } from '../../lib/domain/discovery.ts';
import type { Template } from '../../lib/domain/template.ts';
import type { ForeignBox, ForeignFile } from '../../lib/drivers/memory/foreign-box.ts';
import type { MemoryWorld } from '../../lib/drivers/memory/world.ts';
import { quickTemplate } from './system.ts';

/** Old deployments on a make-believe machine, with real databases in them. */

export const DISCOVERY: Discovery = {
  name: '^echo-(?<id>.+)$',
  image: '^echo:',
  command: ['echo', 'run'],
  workdir: '/echo',
  paths: { 'config.json': '/echo/config.json', data: '/echo/data' },
  config: { path: 'config.json', flags: ['--config'], owner: 'userId', required: ['name'], refused: [], expected: {} },
  env: '^ECHO_',
  flags: { '--config': 'drop-value', '--plan': 'keep-value' },
  code: { flag: '--plan', key: 'plan', folder: 'data/plans', declares: '^class (?<name>\\w+)' },
  database: {
    flag: '--db-url',
    key: 'db_url',
    defaults: ['sqlite:///data/trades.sqlite'],
    tables: ['trades'],
    answers: { open: 'SELECT count(*) FROM trades WHERE is_open', last: 'SELECT max(id) FROM trades' },
  },
};

export const legacyTemplate = (overrides: Partial<Template> = {}): Template =>
  quickTemplate({ name: 'echo', discovery: DISCOVERY, requiredFiles: ['config.json'], ...overrides });

export type Trade = readonly [id: number, isOpen: boolean];

/** Bytes of a database and its log, as a program that was killed leaves them: the newest rows are in the log alone. */
export function databaseFiles(trades: readonly Trade[], before: readonly Trade[] = []): Map<string, Buffer> {
  const folder = mkdtempSync(join(tmpdir(), 'bunkhouse-test-db-'));
  try {
    const file = join(folder, 'db');
    const database = new DatabaseSync(file);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0');
    database.exec('CREATE TABLE trades (id INTEGER PRIMARY KEY, is_open BOOLEAN, pair TEXT)');
    const insert = database.prepare('INSERT INTO trades VALUES (?, ?, ?)');
    for (const [id, open] of before) insert.run(id, Number(open), `P${id}/USDT`);
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    for (const [id, open] of trades) insert.run(id, Number(open), `P${id}/USDT`);
    const files = new Map(['', '-wal', '-shm'].map((ending) => [ending, readFileSync(file + ending)]));
    database.close();
    return files;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Trades in a database and its log. */
export function tradesIn(files: ReadonlyMap<string, Buffer>): Trade[] {
  const folder = mkdtempSync(join(tmpdir(), 'bunkhouse-test-db-'));
  try {
    for (const [ending, data] of files) writeFileSync(join(folder, `db${ending}`), data);
    const database = new DatabaseSync(join(folder, 'db'));
    try {
      const rows = database.prepare('SELECT id, is_open FROM trades ORDER BY id').all();
      return rows.map(({ id, is_open: open }) => [Number(id), open === 1]);
    } finally {
      database.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface OldOptions {
  readonly trades?: readonly Trade[];
  readonly config?: string;
  readonly alive?: boolean;
  readonly command?: readonly string[];
  readonly port?: number;
  readonly plan?: string;
}

/** A deployment of old, as one container. */
export function addOld(world: MemoryWorld, id: string, options: OldOptions = {}): ForeignBox {
  const {
    trades = [
      [1, false],
      [2, true],
    ],
    alive = true,
    command = ['echo', 'run', '--config', '/echo/config.json'],
  } = options;
  const {
    config = `{"name": "${id}", "userId": "User1", "plan": "Plan", /* mine */ }`,
    port,
    plan = 'class Plan',
  } = options;
  const file = (data: Buffer | string): ForeignFile => ({ data: Buffer.from(data), mode: 0o640, uid: 1000 });
  const files = new Map<string, ForeignFile>([
    ['/echo/config.json', file(config)],
    ['/echo/data/plans/plan.py', file(plan)],
  ]);
  for (const [ending, data] of databaseFiles(trades)) files.set(`/echo/data/trades.sqlite${ending}`, file(data));
  const mounts = ['config.json', 'data'].map((name) => ({
    kind: 'bind' as const,
    source: `/srv/User1/${id}/${name}`,
    target: `/echo/${name}`,
    readOnly: name === 'config.json',
  }));
  const box: ForeignBox = {
    id: `id-of-${id}`,
    name: `echo-${id}`,
    told: {
      image: 'echo:1',
      command,
      env: { ECHO_MODE: 'x', PATH: '/bin' },
      workdir: '/echo',
      ports: port === undefined ? [] : [{ host: '', hostPort: port, containerPort: port }],
      mounts,
      labels: {},
    },
    files,
    restartPolicy: { name: 'unless-stopped', maximumRetryCount: 0 },
    alive,
    startedAt: alive ? 1 : null,
    unreadable: false,
    starts: 0,
  };
  world.foreign.set(box.id, box);
  return box;
}

export function tradesOfOld(box: ForeignBox, suffix = ''): Trade[] {
  const base = `/echo/data/trades.sqlite${suffix}`;
  const found = ['', '-wal', '-shm', '-journal'].flatMap((ending) => {
    const file = box.files.get(base + ending);
    return file === undefined ? [] : [[ending, file.data] as const];
  });
  return tradesIn(new Map(found));
}

/** Those of the bot, wherever its directory is. */
export function tradesOfBot(world: MemoryWorld, id: string): Trade[] | null {
  for (const container of world.containers.values()) {
    const files = ['', '-wal', '-shm'].flatMap((ending) => {
      const data = container.bytesOf(id, `data/trades.sqlite${ending}`);
      return data === null ? [] : [[ending, data] as const];
    });
    if (files.length > 0) return tradesIn(new Map(files));
  }
  return null;
}

/** What the bot did in the pool: its database is this from now on. */
export function trade(world: MemoryWorld, id: string, trades: readonly Trade[]): void {
  for (const container of world.containers.values()) {
    if (container.bytesOf(id, 'config.json') === null) continue;
    for (const [ending, data] of databaseFiles(trades)) container.write(id, `data/trades.sqlite${ending}`, data);
  }
}

export const isAlive = (world: MemoryWorld, id: string): boolean =>
  [...world.containers.values()].some((container) => container.bot(id)?.alive === true);
