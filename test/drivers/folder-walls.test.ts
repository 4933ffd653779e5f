import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCompose } from '../../lib/drivers/folder/compose.ts';
import { FolderForeignHost } from '../../lib/drivers/folder/foreign.ts';
import { usersOf } from '../../lib/drivers/folder/open-files.ts';
import { writeTree } from '../../lib/drivers/folder/tree.ts';
import { readTar, tarOf } from '../../lib/util/tree.ts';

let base = '';
beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'folder-walls-')));
});
afterEach(() => rm(base, { recursive: true, force: true }));

describe('walls around a folder deployment', () => {
  it('reads nothing outside of it, whatever its Compose file mounts', async () => {
    const path = join(base, 'alice', 'bot');
    const secret = join(base, 'secret');
    await mkdir(path, { recursive: true });
    await mkdir(secret);
    await writeFile(join(secret, 'shadow'), 'root:hash');
    await writeFile(
      join(path, 'docker-compose.yml'),
      `services: {bot: {image: x, volumes: ["${secret}:/freqtrade/user_data"]}}`,
    );
    const read = async () => {
      const names: string[] = [];
      const host = new FolderForeignHost();
      for await (const { header } of readTar(host.readTree({ kind: 'folder', path }, '/freqtrade/user_data')))
        names.push(header.name);
      return names;
    };
    await expect(read()).rejects.toThrow();
  });

  it.skipIf(process.getuid?.() !== 0)(
    'gives nobody another file when its own is swapped for a link while it is written',
    async () => {
      const victim = join(base, 'victim');
      const folder = join(base, 'data');
      await mkdir(folder);
      await writeFile(victim, 'x');
      await chmod(victim, 0o600);
      const archive = tarOf(async (writer) => {
        await writer.add(
          { name: 'db', size: 4, uid: 12345, gid: 12345, mode: 0o666 },
          (async function* () {
            yield Buffer.from('ab');
            await sleep(300);
            await rm(join(folder, '.db.bunkhouse-part'));
            await symlink(victim, join(folder, '.db.bunkhouse-part'));
            yield Buffer.from('cd');
          })(),
        );
      });
      await writeTree(folder, archive).catch(() => {});
      const { uid, mode } = await stat(victim);
      expect({ uid, mode: mode & 0o777 }).toEqual({ uid: 0, mode: 0o600 });
    },
  );

  it.skipIf(process.getuid?.() !== 0)('sees a process that has its files open in another mount namespace', async () => {
    const folder = join(base, 'data');
    const inside = join(base, 'inside');
    await mkdir(folder);
    await mkdir(inside);
    await writeFile(join(folder, 'db'), '');
    const script = `mount --bind ${folder} ${inside} && exec 9<>${inside}/db && echo up && exec sleep 60`;
    const child = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      expect(await usersOf(folder)).toEqual([child.pid]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('quotes nothing of a Compose file that cannot be read', () => {
    const text = 'services:\n  bot:\n    environment:\n      KEY: s3cr3t: x\n';
    let said = '';
    try {
      parseCompose(text, '/x');
    } catch (error) {
      said = String(error);
    }
    expect(said).not.toBe('');
    expect(said).not.toContain('s3cr3t');
  });

  it('reads a file of its own still', async () => {
    const path = join(base, 'alice', 'bot');
    await mkdir(join(path, 'user_data'), { recursive: true });
    await writeFile(join(path, 'user_data', 'a'), 'hi');
    await writeFile(
      join(path, 'docker-compose.yml'),
      'services: {bot: {image: x, volumes: ["./user_data:/freqtrade/user_data"]}}',
    );
    const names: string[] = [];
    for await (const { header } of readTar(
      new FolderForeignHost().readTree({ kind: 'folder', path }, '/freqtrade/user_data'),
    ))
      names.push(header.name);
    expect(names).toContain('user_data/a');
    expect(await readFile(join(path, 'user_data', 'a'), 'utf8')).toBe('hi');
  });
});
