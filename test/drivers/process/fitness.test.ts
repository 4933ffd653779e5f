import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkFitness } from '../../../lib/drivers/process/fitness.ts';
import { missingForProcesses, SUPERVISORD } from '../../support/process-harness.ts';
import { makeTempDir, removeDir } from '../../support/temp-dir.ts';

const isRoot = process.getuid?.() === 0;

describe('fitness of a machine for the process driver', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await makeTempDir();
  });
  afterEach(() => removeDir(folder));

  const check = (supervisord: string, uidBase: number | null = null, dataDir = join(folder, 'data')) =>
    checkFitness({ supervisord, uidBase, dataDir });
  const script = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text, { mode: 0o755 });
    return join(folder, name);
  };

  it('lacks supervisord, and says how to get it', async () => {
    const problem = { code: 'DRIVER_UNAVAILABLE', message: expect.stringMatching(/Install supervisor.*SUPERVISORD/) };
    await expect(check('/nonexistent/supervisord')).rejects.toMatchObject(problem);
    await expect(check(await script('binary', 'no script'))).rejects.toMatchObject(problem);
  });

  it('has a Python without supervisor', async () => {
    const python = await script('python', '#!/bin/sh\necho "ModuleNotFoundError: supervisor" >&2; exit 1\n');
    const problem = { code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining('ModuleNotFoundError') };
    await expect(check(await script('supervisord', `#!${python}\n`))).rejects.toMatchObject(problem);
  });

  it('has a Python that is too old', async () => {
    const python = await script('python', '#!/bin/sh\necho 3 9 2 4.3.0\n');
    const problem = { code: 'DRIVER_UNAVAILABLE', message: expect.stringMatching(/3\.9.*3\.11 or newer/) };
    await expect(check(await script('supervisord', `#!${python}\n`))).rejects.toMatchObject(problem);
  });

  it('cannot make the data directory', async () => {
    const python = await script('python', '#!/bin/sh\necho 3 12 1 4.3.0\n');
    const supervisord = await script('supervisord', `#!${python}\n`);
    const problem = { code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining('DATA_DIR') };
    await expect(check(supervisord, null, join(python, 'data'))).rejects.toMatchObject(problem);
  });

  it('tells that all bots share one user where they do', async () => {
    const python = await script('python', '#!/bin/sh\necho 3 12 1 4.3.0\n');
    const fitness = await check(await script('supervisord', `#!${python}\n`));
    expect(fitness.isolatesUsers).toBe(false);
    expect(fitness.notes).toEqual(['Python 3.12.1, supervisor 4.3.0', expect.stringMatching(/UID_BASE|root/)]);
  });

  it.runIf(isRoot)('keeps bots apart only where their users can pass, and says what to do', async () => {
    const python = await script('python', '#!/bin/sh\necho 3 12 1 4.3.0\n');
    const supervisord = await script('supervisord', `#!${python}\n`);
    expect(await check(supervisord, 300_000)).toMatchObject({ isolatesUsers: true });
    const closed = join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const fitness = await check(supervisord, 300_000, join(closed, 'data'));
    expect(fitness).toMatchObject({ isolatesUsers: false });
    expect(fitness.notes.at(-1)).toContain(`chmod o+x ${closed}"`);
    await chmod(closed, 0o711);
    expect(await check(supervisord, 300_000, join(closed, 'data'))).toMatchObject({ isolatesUsers: true });
  });

  it.skipIf(missingForProcesses() !== null)('is fit with the venv of the tests', async () => {
    const fitness = await check(SUPERVISORD);
    expect(fitness.notes[0]).toMatch(/^Python 3\.\d+\.\d+, supervisor 4\.\d/);
  });
});
