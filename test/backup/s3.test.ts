import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVault } from '../../lib/backup/open.ts';
import { Shelf } from '../../lib/services/shelf.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { S3_SERVER, type S3Server, startS3 } from '../support/s3-server.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { contentOf, describeVault, text } from './vault-contract.ts';

const reason = S3_SERVER === null ? ' (left out: no versitygw; scripts/test installs it where Go is)' : '';

describe.skipIf(S3_SERVER === null)(`a real server that speaks like S3${reason}`, () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3();
  }, 30_000);
  afterAll(() => server?.dispose());

  describeVault('a bucket', async () => openVault(await server.bucket()));

  it('lists more than a page holds', async () => {
    const vault = await openVault(await server.bucket());
    const names = Array.from({ length: 1050 }, (_, n) => `file-${String(n).padStart(4, '0')}`);
    for (let at = 0; at < names.length; at += 50) {
      await Promise.all(names.slice(at, at + 50).map((name) => vault.write(name, text('x'))));
    }
    expect((await vault.list()).map(({ name }) => name).sort()).toEqual(names);
    vault.close();
  }, 60_000);

  it('keeps prefixes apart', async () => {
    const location = await server.bucket();
    const [one, other] = await Promise.all([openVault(location), openVault({ ...location, prefix: 'some/' })]);
    await one.write('a', text('one'));
    expect(await other.list()).toEqual([]);
    one.close();
    other.close();
  });

  it('says what is wrong and never the secret', async () => {
    const location = await server.bucket();
    const folder = await makeTempDir();
    const credentialsFile = join(folder, 'wrong');
    await writeFile(credentialsFile, 'test-key\nnot-the-secret\n');
    const wrong = await openVault({ ...location, credentialsFile });
    const failing = [wrong.list(), wrong.write('a', text('x')), contentOf(wrong, 'a'), wrong.remove('a')];
    for (const outcome of await Promise.allSettled(failing)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } });
      expect(String((outcome as PromiseRejectedResult).reason)).not.toContain('not-the-secret');
    }
    wrong.close();
    const nowhere = await openVault({ ...location, bucket: 'nowhere-to-be-found' });
    await expect(nowhere.list()).rejects.toMatchObject({ message: expect.stringContaining('nowhere-to-be-found') });
    nowhere.close();
    await writeFile(credentialsFile, 'only-one-line\n');
    await expect(openVault({ ...location, credentialsFile })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await removeDir(folder);
  }, 60_000);

  it('that ends in the middle keeps nothing, and what was kept is there when it is back', async () => {
    const vault = await openVault(await server.bucket());
    await vault.write('before', text('kept'));
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 40; n++) {
        if (n === 20) await server.stop();
        yield Buffer.alloc(1 << 20);
      }
    }
    const writing = vault.write('large', { bytes: 40 << 20, chunks: chunks() });
    await expect(writing).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(vault.list()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await server.start();
    expect(await vault.list()).toEqual([{ name: 'before', bytes: 4 }]);
    expect(await contentOf(vault, 'before')).toBe('kept');
    vault.close();
  }, 60_000);

  it('is a place for backups', async () => {
    const newId = () => crypto.randomUUID();
    const vault = await openVault(await server.bucket());
    const shelf = new Shelf({ vault, clock: systemClock, log: silentLogger, newId });
    const content = Buffer.from('archive');
    const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', content)).toString('hex');
    const packed = { archive: 'x', bytes: content.length, sha256 };
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield content;
    }
    const { id } = await shelf.save({ bot: 'a', kind: 'asked', record: null, packed }, chunks());
    const again = new Shelf({ vault, clock: systemClock, log: silentLogger, newId });
    const [facts] = await again.list();
    expect(facts).toMatchObject({ id, bot: 'a', sha256 });
    const pieces: Uint8Array[] = [];
    if (facts !== undefined) for await (const piece of again.content(facts)) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe('archive');
    expect(shelf.place).toBe(`s3://bots-${/\d+/.exec(vault.place.slice(10))?.[0]}/some/where/ at ${server.url}`);
    await again.remove(id);
    expect(await again.list()).toEqual([]);
    shelf.close();
  });
});
