import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openS3Vault } from '../../lib/backup/s3.ts';
import type { Vault } from '../../lib/backup/vault.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { contentOf, text } from './vault-contract.ts';

const AWAY = { code: 'STORE_UNAVAILABLE' };

describe('a bucket whose server takes requests and falls silent', () => {
  let folder: string;
  let server: Server;
  let vault: Vault;

  beforeEach(async () => {
    folder = await makeTempDir();
    server = createServer((request, response) => {
      request.resume();
      if (request.method !== 'GET' || !request.url?.includes('half')) return;
      response.writeHead(200, { 'Content-Length': '10' });
      response.write('half');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const credentialsFile = join(folder, 'credentials');
    await writeFile(credentialsFile, 'key\nsecret\n');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const at = { bucket: 'bots', prefix: '', region: 'us-east-1', pathStyle: true } as const;
    vault = await openS3Vault({ kind: 's3', ...at, endpoint, credentialsFile }, 100);
  });

  afterEach(async () => {
    vault.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await removeDir(folder);
  });

  it('is away, instead of holding up whoever waits for it', async () => {
    await expect(vault.list()).rejects.toMatchObject(AWAY);
    await expect(vault.write('a', text('content'))).rejects.toMatchObject(AWAY);
    await expect(vault.remove('a')).rejects.toMatchObject(AWAY);
    await expect(contentOf(vault, 'a')).rejects.toMatchObject(AWAY);
  }, 30_000);

  it('also in the middle of an object', async () => {
    await expect(contentOf(vault, 'half')).rejects.toMatchObject(AWAY);
  }, 30_000);
});
