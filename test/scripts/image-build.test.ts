import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contextFiles, inputsHash, surroundings } from '../../scripts/lib/image-build.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

describe('building an image', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await makeTempDir();
    await writeFile(join(folder, 'Dockerfile'), 'FROM x\n', { mode: 0o600 });
    await mkdir(join(folder, 'plugin/__pycache__'), { recursive: true });
    await writeFile(join(folder, 'plugin/a.py'), 'x = 1\n');
    await writeFile(join(folder, 'plugin/__pycache__/a.pyc'), 'old');
    await mkdir(join(folder, 'plugin/part'), { mode: 0o700 });
    await writeFile(join(folder, 'plugin/part/b.py'), 'y = 1\n', { mode: 0o600 });
  });
  afterEach(() => removeDir(folder));

  it('takes the folder’s files, readable for everybody, without what Python compiled here', () => {
    expect(contextFiles(folder).map(({ path, mode }) => [path, mode])).toEqual([
      ['Dockerfile', 0o644],
      ['plugin/a.py', 0o644],
      ['plugin/part/b.py', 0o644],
    ]);
  });

  it('is needed again when a file or the base has changed, and only then', async () => {
    const before = inputsHash(contextFiles(folder), 'sha256:base');
    expect(inputsHash(contextFiles(folder), 'sha256:base')).toBe(before);
    expect(inputsHash(contextFiles(folder), 'sha256:other')).not.toBe(before);
    await writeFile(join(folder, 'plugin/a.py'), 'x = 2\n');
    expect(inputsHash(contextFiles(folder), 'sha256:base')).not.toBe(before);
  });

  it('passes on certificates, proxies and index of this machine, and nothing else of its environment', async () => {
    const file = join(folder, 'ca.pem');
    await writeFile(file, 'CERTIFICATES');
    const env = { NODE_EXTRA_CA_CERTS: file, HTTPS_PROXY: 'http://proxy', ADMIN_TOKEN: 'secret', PIP_INDEX_URL: '' };
    const { args, certificates } = surroundings(env);
    expect(args).toEqual({ HTTPS_PROXY: 'http://proxy', PIP_CERT: '/build/ca.crt' });
    expect(Buffer.from(certificates.data).toString()).toBe('CERTIFICATES');
  });

  it('works where the machine has no certificates of its own', () => {
    const { args, certificates } = surroundings({});
    expect(args).toEqual({});
    expect(certificates).toMatchObject({ path: 'ca.crt', data: Buffer.alloc(0) });
  });
});
