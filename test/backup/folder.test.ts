import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFolderVault } from '../../lib/backup/folder.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { describeVault, text } from './vault-contract.ts';

let folder = '';
beforeEach(async () => {
  folder = await makeTempDir();
});
afterEach(() => removeDir(folder));

describeVault('a folder', () => createFolderVault(join(folder, 'vault')));

describe('a folder', () => {
  it('holds files for nobody else to read', async () => {
    const vault = createFolderVault(join(folder, 'vault'));
    await vault.write('a', text('content'));
    expect((await stat(join(folder, 'vault'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'vault/a'))).mode & 0o777).toBe(0o600);
  });

  it('is rid of what a killed supervisor left half written', async () => {
    await writeFile(join(folder, '.a.tar.gz.1.part'), 'half');
    await createFolderVault(folder).write('b', text('whole'));
    expect(await readdir(folder)).toEqual(['b']);
  });

  it('says what is wrong with it', async () => {
    await writeFile(join(folder, 'file'), '');
    const vault = createFolderVault(join(folder, 'file'));
    const codes = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining(join(folder, 'file')) };
    await expect(vault.write('a', text('x'))).rejects.toMatchObject(codes);
    await expect(vault.list()).rejects.toMatchObject(codes);
  });
});
