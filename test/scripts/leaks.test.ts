import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endLeakedProcesses } from '../../scripts/lib/leaks.ts';

let folder: string;
let other: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bh-leaks-'));
  other = await mkdtemp(join(tmpdir(), 'bh-other-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const made of [folder, other]) await rm(made, { recursive: true });
});

function sleeper(options: { cwd?: string; env?: Record<string, string>; argument?: string }): ChildProcess {
  const { cwd = '/', env = {}, argument = '' } = options;
  const program = 'process.stdout.write("up"); setInterval(() => {}, 1000)';
  const child = spawn(process.execPath, ['-e', program, '--', argument], { cwd, env, detached: true });
  children.push(child);
  return child;
}

const begun = (child: ChildProcess): Promise<void> => new Promise((done) => child.stdout?.once('data', () => done()));
const ended = (child: ChildProcess): Promise<string | null> =>
  new Promise((done) => child.once('exit', (_, signal) => done(signal)));

describe('processes that a test left behind', () => {
  it('are found by environment, argument and working directory, named and ended; others are left alone', async () => {
    const left = [
      sleeper({ env: { TMPDIR: folder } }),
      sleeper({ argument: `--in=${folder}` }),
      sleeper({ cwd: folder }),
    ];
    const stranger = sleeper({ cwd: other, env: { TMPDIR: other } });
    await Promise.all([...left, stranger].map(begun));
    const ends = left.map(ended);
    const found = await endLeakedProcesses(folder);
    expect(found.map((text) => text.split(':')[0]).sort()).toEqual(left.map(({ pid }) => `process ${pid}`).sort());
    expect(await Promise.all(ends)).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL']);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });

  it('get a moment to end by themselves', async () => {
    const child = sleeper({ cwd: folder });
    await begun(child);
    const gone = ended(child);
    setTimeout(() => child.kill('SIGTERM'), 300);
    expect(await endLeakedProcesses(folder)).toEqual([]);
    expect(await gone).toBe('SIGTERM');
  });
});
