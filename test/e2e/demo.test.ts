import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LeaseView } from '../../lib/services/lease-api.ts';
import { freePorts } from '../support/ports.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { createClient } from './client.ts';
import { killAll, processesBelow } from './processes.ts';
import { freePort, poll, REPOSITORY, VENV } from './support.ts';
import { withWordPress } from './with-wordpress.ts';

/** `scripts/up --demo` as a user runs it, with what is installed already. */

let directory: string;
let env: Record<string, string>;
const runs: Run[] = [];

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output(): string;
}

/** One run in a terminal of its own: a signal to it reaches nobody else. */
function up(...args: string[]): Run {
  const child = spawn(join(REPOSITORY, 'scripts/up'), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<number | null>((done) => child.once('close', done));
  const run = { child, ended, output: () => output };
  runs.push(run);
  return run;
}

const says = (run: Run, text: string): Promise<true> =>
  poll(`the demo says ${text}`, 120, async () => {
    if (run.child.exitCode !== null && !run.output().includes(text)) throw new Error(`it ended:\n${run.output()}`);
    return run.output().includes(text);
  }).then(() => true);

const pids = async (): Promise<Record<string, number | null>> => {
  const token = (await readFile(join(directory, 'state/admin-token'), 'utf8')).trim();
  const bots = await createClient(`http://127.0.0.1:${env.PORT}`, token).bots();
  return Object.fromEntries(bots.map(({ instanceId, pid }) => [instanceId, pid]));
};

beforeEach(async () => {
  directory = await makeTempDir();
  // The exchange takes the port 100 below the first of the bots.
  const exchangePort = await freePorts(26_000, 26_099, 1);
  env = {
    PATH: process.env.PATH ?? '',
    HOME: directory,
    DATA_DIR: directory,
    PORT: String(await freePort()),
    POOL_BASE_PORT: String(exchangePort + 100),
    SUPERVISORD: join(VENV, 'bin/supervisord'),
    BOT_PATH: `${join(VENV, 'bin')}:/usr/bin:/bin`,
  };
});

afterEach(async () => {
  for (const { child } of runs.splice(0)) child.kill('SIGKILL');
  await killAll(() => processesBelow(directory));
  await removeDir(directory);
});

describe('scripts/up --demo', () => {
  it('starts trading bots, is found by a second run, adopts them after a kill -9, and stops them all', async () => {
    const first = up('--demo', '--bots', '2');
    await says(first, 'Ctrl-C stops everything');
    expect(first.output()).toMatch(/✓ demo-01 {2}running {2}port \d+ {2}pid \d+ \([\d.]+ s\)/);
    expect(first.output()).toContain(`admin token in ${directory}/state/admin-token`);
    const begun = await pids();
    expect(Object.keys(begun)).toEqual(['demo-01', 'demo-02']);

    const second = up('--demo', '--bots', '2');
    expect(await second.ended).toBe(0);
    expect(second.output()).toContain('It all runs in another terminal already');
    expect(await pids()).toEqual(begun);

    first.child.kill('SIGKILL');
    await first.ended;
    const third = up('--demo', '--bots', '2');
    await says(third, 'Ctrl-C stops everything');
    expect(await pids()).toEqual(begun);

    third.child.kill('SIGINT');
    expect(await third.ended).toBe(0);
    expect(third.output()).toMatch(/✓ stopping the bots and the supervisor/);
    expect(processesBelow(directory)).toEqual([]);

    const fourth = up('--demo', '--bots', '2');
    await says(fourth, 'Ctrl-C stops everything');
    expect(fourth.output()).toContain('2 there already');
    fourth.child.kill('SIGTERM');
    expect(await fourth.ended).toBe(0);
    expect(processesBelow(directory)).toEqual([]);
  });

  it('does not touch a supervisor with other data at its address', async () => {
    const first = up();
    await says(first, 'listens on');
    env = { ...env, DATA_DIR: join(directory, 'other') };
    const second = up('--demo', '--bots', '1');
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain('it keeps its data elsewhere');
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
  });
});

withWordPress('scripts/up --demo wordpress', () =>
  describe('scripts/up --demo wordpress', () => {
    it('keeps sites warm, hands one out, and stops it all', async () => {
      const run = up('--demo', 'wordpress', '--bots', '1');
      await says(run, 'Ctrl-C stops everything');
      expect(run.output()).toMatch(/✓ WordPress sites ready to be handed out: 1 \([\d.]+ s\)/);
      const token = (await readFile(join(directory, 'state/admin-token'), 'utf8')).trim();
      const lease = await createClient(`http://127.0.0.1:${env.PORT}`, token).post<LeaseView>('/api/leases', {});
      expect(lease).toMatchObject({ template: 'wordpress', fromPool: true, access: { user: 'admin' } });
      run.child.kill('SIGINT');
      expect(await run.ended).toBe(0);
      expect(processesBelow(directory)).toEqual([]);
    });
  }),
);

describe('scripts/up', () => {
  it.each([
    { args: ['--bots', 'many'], says: '--bots takes a number' },
    { args: ['--data-dir'], says: '--data-dir takes a folder' },
    { args: ['--dmeo'], says: 'Usage: scripts/up' },
  ])('refuses $args', async ({ args, says: text }) => {
    const run = up(...args);
    expect(await run.ended).not.toBe(0);
    expect(run.output()).toContain(text);
  });

  it('says which settings are wrong', async () => {
    env = { ...env, PORT: 'x' };
    const run = up();
    expect(await run.ended).toBe(2);
    expect(run.output()).toContain('PORT = "x"');
  });
});
