import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFolderVault } from '../../lib/backup/folder.ts';
import { keptBot } from '../../lib/domain/backup.ts';
import { type Draft, Shelf } from '../../lib/services/shelf.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { aBot } from '../planner/builders.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

const HOUR = 3_600_000;
const CONTENT = Buffer.from('the packed archive');
const RECORD = keptBot(aBot('a', { files: { config: 'c2VjcmV0' }, secrets: { key: 'secret' } }));

let folder = '';
let clock = new ManualClock();
beforeEach(async () => {
  folder = await makeTempDir();
  clock = new ManualClock(Date.parse('2026-03-20T12:34:56.789Z'));
});
afterEach(() => removeDir(folder));

const shelf = (): Shelf =>
  new Shelf({ vault: createFolderVault(folder), clock, log: silentLogger, newId: () => crypto.randomUUID() });

function draft(changes: Partial<Draft> = {}): Draft {
  const sha256 = createHash('sha256').update(CONTENT).digest('hex');
  const packed = { archive: 'x', bytes: CONTENT.length, sha256 };
  return { bot: 'a', kind: 'asked', record: RECORD, packed, ...changes };
}

async function* chunks(content: Buffer = CONTENT): AsyncGenerator<Uint8Array> {
  yield content.subarray(0, 5);
  yield content.subarray(5);
}

async function read(from: Shelf, id: string): Promise<string> {
  const facts = await from.find(id);
  const pieces: Uint8Array[] = [];
  if (facts !== null) for await (const piece of from.content(facts)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

describe('a shelf', () => {
  it('gives back what it keeps, also to the next supervisor', async () => {
    const { id } = await shelf().save(draft(), chunks());
    expect(id).toMatch(/^a-2026-03-20T12-34-56-789Z-[0-9a-f]{6}$/);
    const next = shelf();
    expect(await read(next, id)).toBe('the packed archive');
    expect(await next.bot(id)).toEqual(RECORD);
    expect(await next.list()).toMatchObject([
      { id, bot: 'a', owner: RECORD.owner, createdAt: '2026-03-20T12:34:56.789Z' },
    ]);
  });

  /** A vault that counts the looks at it, and holds them up. */
  function counted() {
    const vault = createFolderVault(folder);
    const counting = {
      looks: 0,
      broken: false,
      held: Promise.resolve(),
      list: async () => {
        counting.looks += 1;
        const files = await vault.list();
        await counting.held;
        if (counting.broken) throw new Error('the network');
        return files;
      },
    };
    const newId = () => crypto.randomUUID();
    const own = new Shelf({ vault: { ...vault, list: counting.list }, clock, log: silentLogger, newId });
    return { counting, own };
  }

  it('looks at its vault now and then, however often and by how many it is asked', async () => {
    const { counting, own } = counted();
    for (let n = 0; n < 3; n++) await Promise.all([own.list(), own.list(), own.find('a-b')]);
    expect(counting.looks).toBe(1);
    const { id } = await shelf().save(draft(), chunks());
    expect(await own.list()).toEqual([]);
    await clock.advance(2_000);
    expect(await own.find(id), 'named, it is looked for').toMatchObject({ id });
    expect(counting.looks).toBe(2);
    await shelf().remove(id);
    await clock.advance(11_000);
    expect(await own.list()).toEqual([]);
    expect(counting.looks).toBe(3);
  });

  it('knows what it kept and threw away while it looked', async () => {
    const { counting, own } = counted();
    const old = await own.save(draft(), chunks());
    const { promise, resolve } = Promise.withResolvers<void>();
    counting.held = promise;
    const looking = own.list();
    await new Promise((done) => setImmediate(done));
    const young = await own.save(draft(), chunks());
    await own.remove(old.id);
    resolve();
    expect((await looking).map(({ id }) => id)).toEqual([young.id]);
    expect(await own.find(old.id)).toBeNull();
  });

  it('looks again after a look that failed', async () => {
    const { counting, own } = counted();
    counting.broken = true;
    await expect(own.list()).rejects.toThrow('the network');
    counting.broken = false;
    expect(await own.list()).toEqual([]);
  });

  it.each([
    { desc: 'is not what was packed', content: Buffer.from('the packed ARCHIVE') },
    { desc: 'is cut short', content: CONTENT.subarray(0, 9) },
  ])('keeps nothing of what $desc', async ({ content }) => {
    await expect(shelf().save(draft(), chunks(content))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    { desc: 'changed', content: 'the packed ARCHIVE' },
    { desc: 'cut short', content: 'the packed' },
  ])('tells that an archive was $desc', async ({ content }) => {
    const { id } = await shelf().save(draft(), chunks());
    await writeFile(join(folder, `${id}.tar.gz`), content);
    await expect(read(shelf(), id)).rejects.toMatchObject({ code: 'INVALID' });
  });

  it('lists an archive whose facts are gone or damaged by what its name says, and never quotes a damaged record', async () => {
    const { id } = await shelf().save(draft(), chunks());
    await writeFile(join(folder, `${id}.json`), '{"id":');
    await writeFile(join(folder, `${id}.bot.json`), '{"secrets":{"key":"secret"');
    expect(await shelf().list()).toMatchObject([{ id, bot: 'a', owner: null, bytes: CONTENT.length, sha256: null }]);
    const error = await shelf()
      .bot(id)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID' });
    expect(String(error)).not.toContain('secret"');
  });

  it('passes over what is no backup', async () => {
    for (const name of ['readme.txt', 'a.tar.gz', '.hidden.tar.gz', 'a-2026-03-20T12-34-56-789Z-zzzzzz.tar.gz']) {
      await writeFile(join(folder, name), 'x');
    }
    expect(await shelf().list()).toEqual([]);
  });

  it('clears away what a killed supervisor left, but not what another may be keeping, nor what is not its own', async () => {
    const { id } = await shelf().save(draft(), chunks());
    const orphan = 'a-2026-03-20T12-00-00-000Z-0a0a0a';
    for (const name of [`${orphan}.json`, `${orphan}.bot.json`, 'notes.json'])
      await writeFile(join(folder, name), '{}');
    await shelf().removeOrphans();
    expect(await readdir(folder)).toHaveLength(6);
    await clock.advance(25 * HOUR);
    await shelf().removeOrphans();
    expect((await readdir(folder)).sort()).toEqual([`${id}.bot.json`, `${id}.json`, `${id}.tar.gz`, 'notes.json']);
  });
});
