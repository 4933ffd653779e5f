import { execSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { Table } from '../../lib/domain/table.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import type { Change, Store } from '../../lib/store/store.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger as log } from '../../lib/util/logger.ts';

/** What is found beside a state file after all sorts of ends. `leave` is what a kill at that moment would leave behind. */

const HOUR = 3_600_000;

let folder: string;
let path: string;
let now: number;
let opened: Store[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bunkhouse-journal-'));
  path = join(folder, 'state/state.json');
  now = Date.parse('2026-01-01T00:00:00Z');
  opened = [];
});

afterEach(async () => {
  for (const store of opened) await store.close();
  rmSync(folder, { recursive: true });
});

async function open(): Promise<Store> {
  const store = await openFileStore({ path, clock: { ...systemClock, now: () => now }, log });
  opened.push(store);
  return store;
}

const grow: Change<number> = ({ ...state }) => ({
  state: { ...state, generation: state.generation + 1 },
  result: state.generation + 1,
});

async function growBy(store: Store, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await store.update(grow);
}

/** Takes the files of a living store elsewhere, as they are, and makes that place the one that is opened next. */
function leave(name: string): void {
  const copy = join(folder, name);
  cpSync(join(path, '..'), copy, { recursive: true });
  rmSync(join(copy, 'state.json.lock'));
  path = join(copy, 'state.json');
}

async function refusal(): Promise<BunkhouseError> {
  const error = await open().then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason,
  );
  if (error instanceof BunkhouseError && error.code === 'STORE_CORRUPT') return error;
  throw error;
}

const journals = (): string[] =>
  readdirSync(join(path, '..'))
    .filter((name) => name.includes('.journal-'))
    .sort()
    .map((name) => join(path, '..', name));
const journal = (): string => journals()[0] ?? '';
const everything = (): string => [path, ...journals()].map((file) => readFileSync(file, 'latin1')).join('\n--\n');

/** Five commits in the journal. */
async function fiveCommits(): Promise<string[]> {
  await growBy(await open(), 5);
  leave('left');
  return readFileSync(journal(), 'utf8').trimEnd().split('\n');
}

/** What the message says, done as it says. */
function follow({ message }: BunkhouseError): void {
  const command = /(?:(?:mv|truncate|cp) .*)$/.exec(message)?.[0] ?? 'false';
  mkdirSync(join(folder, 'elsewhere'), { recursive: true });
  execSync(command.replaceAll('ELSEWHERE', join(folder, 'elsewhere')));
}

describe('journal', () => {
  it('is read by the next opener, who leaves one state file behind', async () => {
    await fiveCommits();
    expect(JSON.parse(readFileSync(path, 'utf8')).generation).toBe(0);
    const store = await open();
    expect(store.current().generation).toBe(5);
    expect(JSON.parse(readFileSync(path, 'utf8')).generation).toBe(5);
    await store.close();
    expect(journals()).toEqual([]);
  });

  it('makes room for a new one when it has outgrown the state file, beside the commits that go on', async () => {
    const store = await open();
    const first = journal();
    const body = 'x'.repeat(200_000);
    for (let n = 0; n < 12; n++) {
      const reply = { request: 'r', status: 200, body, at: '2026-01-01T00:00:00.000Z' };
      await store.update((state) => ({
        state: { ...state, replies: Table.of({ [`r${n % 2}`]: reply }) },
        result: null,
      }));
    }
    await growBy(store, 20);
    leave('left');
    expect(journals()).not.toContain(first);
    expect(JSON.parse(readFileSync(path, 'utf8')).journal.sequence).toBeGreaterThan(5);
    expect((await open()).current().generation).toBe(20);
  });

  it.each<[string, (whole: Buffer, last: number) => Buffer]>([
    ['in the middle of a line', (whole, last) => whole.subarray(0, last + 40)],
    ['right before the end of a line', (whole) => whole.subarray(0, -2)],
    ['with a block that never arrived', (whole, last) => zeroed(whole, last + 20, whole.length - 5)],
    ['with nothing but a length', (whole, last) => zeroed(whole, last, whole.length)],
  ])('that ends %s lost one commit that was never answered', async (_, cut) => {
    await fiveCommits();
    const whole = readFileSync(journal());
    const last = whole.lastIndexOf('\n', whole.length - 2) + 1;
    writeFileSync(journal(), cut(whole, last));
    const store = await open();
    expect(store.current().generation).toBe(4);
    expect(await store.update(grow)).toBe(5);
  });

  it.each<[string, (lines: string[]) => string[]]>([
    ['changed', (lines) => lines.with(3, (lines[3] ?? '').replace('"generation":3', '"generation":9'))],
    ['missing', (lines) => lines.toSpliced(3, 1)],
    ['there twice', (lines) => lines.toSpliced(3, 0, lines[2] ?? '')],
    ['out of order', (lines) => lines.toSpliced(2, 2, lines[3] ?? '', lines[2] ?? '')],
    ['no text', (lines) => lines.with(3, '\0'.repeat(50))],
    ['changed at the very end', (lines) => lines.with(5, (lines[5] ?? '').replace('"generation":5', '"generation":9'))],
  ])('with a commit that is %s is refused and left as it is; going on works as the message says', async (_, change) => {
    const lines = change(await fiveCommits());
    writeFileSync(journal(), `${lines.join('\n')}\n`);
    const before = everything();
    const error = await refusal();
    expect(error.message).toContain(journal());
    expect(everything()).toBe(before);
    const good = Number(/up to commit (\d) is good/.exec(error.message)?.[1]);
    expect(good).toBeGreaterThan(0);
    follow(error);
    expect((await open()).current().generation).toBe(good);
  });

  it('is described without any of its content', async () => {
    const lines = await fiveCommits();
    writeFileSync(journal(), `${lines.with(2, 'c2VjcmV0').join('\n')}\n`);
    const error = await refusal();
    expect(`${error.message} ${JSON.stringify(error.details)} ${error.cause}`).not.toContain('c2VjcmV0');
  });

  it('of another installation is refused', async () => {
    await fiveCommits();
    const foreign = journal();
    path = join(folder, 'other/state.json');
    await (await open()).close();
    copyFileSync(foreign, `${path}.journal-000000000000`);
    expect((await refusal()).message).toContain('of another installation');
  });

  it('that goes on from a later state is refused; going on without it works as the message says', async () => {
    const store = await open();
    await growBy(store, 2);
    await store.close();
    const older = readFileSync(path);
    await growBy(await open(), 2);
    leave('left');
    await (await open()).close();
    await growBy(await open(), 1);
    leave('later');
    writeFileSync(path, older);
    const error = await refusal();
    expect(error.message).toMatch(/goes on from commit 4, and the state file stands at 2/);
    follow(error);
    expect((await open()).current().generation).toBe(2);
  });

  it('of a time that was undone is refused', async () => {
    const store = await open();
    await growBy(store, 3);
    await store.close();
    const undone = readFileSync(path);
    rmSync(path);
    renameSync(`${path}.good-2026-01-01T00:00:00.000Z`, path);
    // Other commits under the same numbers.
    await (await open()).update((state) => ({ state: { ...state, generation: 70 }, result: null }));
    await growBy(opened.at(-1) as Store, 5);
    leave('left');
    writeFileSync(path, undone);
    expect((await refusal()).message).toMatch(/commit 3 is not the one of the state file/);
  });

  it('goes on from a good copy that is put back, as the message about the state file says', async () => {
    await fiveCommits();
    writeFileSync(path, '{"sch');
    const error = await refusal();
    expect(error.message).toContain('The journals beside it');
    follow(error);
    expect((await open()).current().generation).toBe(5);
  });

  it('that does not go on from the good copy is moved aside, as the message about the state file says', async () => {
    const store = await open();
    await growBy(store, 2);
    now += HOUR;
    await store.close();
    await growBy(await open(), 3);
    leave('left');
    for (const name of readdirSync(join(path, '..'))) {
      if (name.includes('.good-2026-01-01T01')) rmSync(join(path, '..', name));
    }
    writeFileSync(path, '{"sch');
    follow(await refusal());
    expect((await open()).current().generation).toBe(0);
  });

  it('is not forgotten when the state file is gone', async () => {
    await fiveCommits();
    rmSync(path);
    for (const name of readdirSync(join(path, '..'))) if (name.includes('.good-')) rmSync(join(path, '..', name));
    expect((await refusal()).message).toMatch(/it is gone, although it was there before/);
  });

  it('that was begun and not written to is passed over', async () => {
    const lines = await fiveCommits();
    const stray = await strayHeader();
    appendFileSync(`${path}.journal-000000000003`, stray);
    expect(lines).toHaveLength(6);
    expect((await open()).current().generation).toBe(5);
  });

  /** The first line of a journal that goes on from commit 3 of this installation. */
  async function strayHeader(): Promise<string> {
    const { headerLine } = await import('../../lib/store/journal-line.ts');
    const { installation } = JSON.parse(readFileSync(path, 'utf8'));
    return headerLine({ installation, sequence: 3, hash: 'x' });
  }
});

function zeroed(bytes: Buffer, from: number, to: number): Buffer {
  return Buffer.from(bytes).fill(0, from, to);
}
