import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSandbox, fixtureBot, REPOSITORY, type Sandbox, VENV } from './support.ts';

/** A supervisor that would have its containers elsewhere must not make the bots of its state a second time. */

const BOT = 'homely';

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await createSandbox({ basePort: 25_900 });
  await sandbox.start();
  await sandbox.client.create(await fixtureBot(BOT, 'server.py'));
  await sandbox.untilState(BOT, 'running');
});
afterAll(() => sandbox?.dispose());

/** A program of ours with the sandbox's state and other settings, until it ends. */
async function run(argv: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, argv, {
    cwd: sandbox.directory,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: sandbox.directory,
      DATA_DIR: sandbox.directory,
      PORT: new URL(sandbox.url).port,
      SUPERVISORD: join(VENV, 'bin/supervisord'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = await once(child, 'close');
  return { code, output };
}

const MAIN = join(REPOSITORY, 'lib/main.ts');
const CLI = join(REPOSITORY, 'lib/cli/bunkhouse.ts');

describe('a state whose containers are with the process driver', () => {
  it('is refused by a supervisor with another driver or data folder, and the bot goes on, alone', async () => {
    const { pid } = await sandbox.untilState(BOT, 'running');
    await sandbox.stop();
    const other = await run([MAIN], { POOL_DRIVER: 'memory' });
    expect(other.code).toBe(1);
    expect(other.output).toContain(`tells of containers of local: ${sandbox.directory} of machine `);
    expect(other.output).toContain('would run them on local: memory of machine');
    const state = `file:${join(sandbox.directory, 'state/state.json')}`;
    const moved = await run([MAIN], { DATA_DIR: join(sandbox.directory, 'elsewhere'), STATE_URL: state });
    expect(moved.code).toBe(1);
    expect(moved.output).toContain('bunkhouse state rehome');
    expect(sandbox.processesOf(BOT)).toHaveLength(1);
    await sandbox.start();
    expect(await sandbox.untilState(BOT, 'running')).toMatchObject({ pid });
  });

  it('forgets where they were only while no supervisor runs', async () => {
    const refused = await run([CLI, 'state', 'rehome'], {});
    expect(refused.code).toBe(5);
    expect(refused.output).toContain(`pid ${sandbox.pid}`);
    await sandbox.stop();
    const done = await run([CLI, 'state', 'rehome'], {});
    expect(done.output).toContain('The state (1 bots in 1 containers) has forgotten where they are');
    expect(done.code).toBe(0);
    await sandbox.start();
    await sandbox.untilState(BOT, 'running');
    expect(sandbox.processesOf(BOT)).toHaveLength(1);
  });
});
