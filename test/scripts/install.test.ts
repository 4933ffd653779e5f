import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** The installing parts of scripts/up and scripts/test, with make-believe programs that note how they were called. */

const LIB = resolve(import.meta.dirname, '../../scripts/lib');
const isRoot = process.getuid?.() === 0;

let root: string;
let bin: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bh-install-'));
  await chmod(root, 0o755);
  bin = join(root, 'bin');
  await mkdir(bin);
  await writeFile(join(root, 'package-lock.json'), '{}');
});

afterEach(() => rm(root, { recursive: true, force: true }));

async function program(path: string, ...lines: string[]): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, ['#!/bin/bash', ...lines, ''].join('\n'), { mode: 0o755 });
}

/** A make-believe npm that notes its arguments and installs a make-believe Node. */
const npm = (): Promise<void> =>
  program(
    join(bin, 'npm'),
    `echo "$*" >>${root}/calls`,
    `mkdir -p ${root}/.tools/node_modules/.bin ${root}/node_modules/.bin`,
    `printf '#!/bin/sh\\necho v24.9.9\\n' >${root}/.tools/node_modules/.bin/node`,
    `chmod +x ${root}/.tools/node_modules/.bin/node`,
    `touch ${root}/node_modules/.package-lock.json`,
  );

/** Runs a line of bash with the functions of scripts/lib and the make-believe programs first on the PATH. */
function bash(line: string): Promise<{ code: number; out: string; err: string }> {
  const script = `set -euo pipefail; root=${root}; for f in steps node python; do source ${LIB}/$f.sh; done; ${line}`;
  const env = { PATH: `${bin}:${process.env.PATH}` };
  return new Promise((done) => {
    execFile('/bin/bash', ['-c', script, 'up'], { env }, (error, out, err) => {
      done({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}

const calls = (): Promise<string> => readFile(join(root, 'calls'), 'utf8').catch(() => '');

describe('ensure_node', () => {
  it('leaves a Node 24 of the system alone', async () => {
    await program(join(bin, 'node'), 'echo v24.0.0');
    await npm();
    const { out } = await bash('ensure_node; command -v node');
    expect(out).toBe(`${join(bin, 'node')}\n`);
    expect(await calls()).toBe('');
  });

  it('installs one beside an older one, once, and puts it first', async () => {
    await program(join(bin, 'node'), 'echo v20.19.0');
    await npm();
    expect((await bash('ensure_node; node --version')).out).toMatch(/✓ Node 24 \(\d+ s\)\nv24\.9\.9\n$/);
    expect((await bash('ensure_node; node --version')).out).toBe('v24.9.9\n');
    expect((await calls()).trim().split('\n')).toHaveLength(1);
  });

  it('shows what npm said when it fails, and what to do', async () => {
    await program(join(bin, 'node'), 'echo v20.19.0');
    await program(join(bin, 'npm'), 'echo no route to registry >&2; exit 1');
    const { code, out, err } = await bash('ensure_node');
    expect(code).toBe(1);
    expect(out).toContain('✗ Node 24');
    expect(err).toContain('  no route to registry\nup: Node 24 could not be installed.\n');
  });
});

describe('ensure_packages', () => {
  it('installs once, and again when the lock file changed', async () => {
    await npm();
    await bash('ensure_packages prod; ensure_packages prod');
    expect((await calls()).trim().split('\n')).toEqual([expect.stringContaining('--omit=dev')]);
    await bash('sleep 0.02; touch "$root/package-lock.json"; ensure_packages prod');
    expect((await calls()).trim().split('\n')).toHaveLength(2);
  });

  it('adds what tests need, and does not take it away again', async () => {
    await npm();
    await bash('ensure_packages prod; ensure_packages all');
    expect((await calls()).trim().split('\n').at(-1)).not.toContain('--omit=dev');
    await writeFile(join(root, 'node_modules/.bin/vitest'), '');
    await bash('sleep 0.02; touch "$root/package-lock.json"; ensure_packages prod');
    expect((await calls()).trim().split('\n').at(-1)).not.toContain('--omit=dev');
  });
});

describe('find_python', () => {
  it('takes a real interpreter of 3.11 or newer that runs', async () => {
    const { code, out } = await bash('find_python');
    expect(code).toBe(0);
    expect(out).toMatch(/^\/.*python3\.\d+\n$/);
  });

  it.runIf(isRoot)('passes over one that other users cannot reach', async () => {
    const closed = join(root, 'closed');
    const { out: real } = await bash('find_python');
    await program(join(closed, 'python3'), `exec ${real.trim()} "$@"`);
    await chmod(closed, 0o700);
    const { out } = await bash(`works ${real.trim()} && echo open; works ${join(closed, 'python3')} || echo closed`);
    expect(out).toBe('open\nclosed\n');
  });

  it.runIf(isRoot)('refuses a folder for the venv that other users cannot pass', async () => {
    await chmod(root, 0o700);
    await writeFile(join(root, 'requirements.txt'), 'supervisor==4.3.0\n');
    const { code, err } = await bash('ensure_venv "$root/venv" "$root/requirements.txt"');
    expect(code).toBe(1);
    expect(err).toContain(`${root} is closed to other users than root`);
  });
});

describe('the venv', () => {
  it('is left alone while the requirements are the same', async () => {
    await writeFile(join(root, 'requirements.txt'), '--only-binary :all:\nsupervisor==4.3.0\n');
    const { out: python } = await bash('find_python');
    await program(join(root, 'venv/bin/python'), `echo "$*" >>${root}/calls`, `exec ${python.trim()} "$@"`);
    const ready =
      'stamp_of "$root/requirements.txt" >"$root/venv/.bunkhouse"; ensure_venv "$root/venv" "$root/requirements.txt"';
    const { code, out } = await bash(ready);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(await readFile(join(root, 'venv/.bunkhouse'), 'utf8')).toMatch(/^[0-9a-f]{16} supervisor 4\.3\.0\n$/);
  });
});
