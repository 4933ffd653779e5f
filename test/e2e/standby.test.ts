import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startValkey, VALKEY, type ValkeyServer } from '../support/valkey-server.ts';
import { signal } from './processes.ts';
import { createSandbox, fixtureBot, type Sandbox } from './support.ts';

/** Two supervisors over one Valkey server and one data folder: one leads, the other takes over with every bot. */

const IDS = ['bot-0', 'bot-1', 'bot-2'];

describe.skipIf(VALKEY === null)('two supervisors of one state', () => {
  let server: ValkeyServer;
  let one: Sandbox;
  let two: Sandbox;

  beforeAll(async () => {
    server = await startValkey();
    const env = { STATE_URL: `valkey://127.0.0.1:${server.port}?lease=2` };
    one = await createSandbox({ basePort: 26_400, env });
    two = await createSandbox({ basePort: 26_400, env: { ...env, DATA_DIR: one.directory } });
    await one.start();
    await symlink(join(one.directory, 'state'), join(two.directory, 'state')); // where the test looks for the token
    await Promise.all(IDS.map(async (id) => one.client.create(await fixtureBot(id, 'server.py'))));
    for (const id of IDS) await one.untilState(id, 'running');
  });

  afterAll(async () => {
    await two?.stop('SIGKILL');
    await one?.dispose();
    await two?.dispose();
    await server?.dispose();
  });

  const health = async (sandbox: Sandbox): Promise<{ code: number; status?: string; ready?: boolean }> =>
    fetch(`${sandbox.url}/health`).then(
      async (response) => ({ ...((await response.json()) as object), code: response.status }),
      () => ({ code: 0 }),
    );

  const pids = async (sandbox: Sandbox): Promise<unknown> =>
    (await sandbox.client.bots()).map(({ instanceId, pid }) => [instanceId, pid]).sort();

  /** Starts one that does not lead, and waits until it says so. */
  async function standBy(sandbox: Sandbox): Promise<{ takenOver: Promise<unknown> }> {
    const takenOver = sandbox.start();
    takenOver.catch(() => {});
    await one.until('it stands by', async () => (await health(sandbox)).status === 'standby');
    return { takenOver };
  }

  async function allRun(sandbox: Sandbox): Promise<void> {
    for (const id of IDS) await sandbox.untilState(id, 'running');
    expect(IDS.map((id) => one.processesOf(id).length)).toEqual(IDS.map(() => 1));
  }

  it('lead one at a time, and the other says that it stands by', async () => {
    const { takenOver } = await standBy(two);
    expect(await health(two)).toMatchObject({ code: 503, status: 'standby', ready: false });
    expect(await health(one)).toMatchObject({ code: 200, status: 'ready' });
    const answer = await fetch(`${two.url}/api/bots`);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await answer.json()).toMatchObject({ code: 'STORE_UNAVAILABLE' });

    const before = await pids(one);
    await one.stop('SIGKILL');
    await takenOver;
    await allRun(two);
    expect(await pids(two)).toEqual(before);
  });

  it('change places when the leader hangs; once it goes on it ends, and touches no bot', async () => {
    const { takenOver } = await standBy(one);
    const before = await pids(two);
    const hanging = two.pid;
    signal(hanging, 'SIGSTOP');
    await takenOver;
    await allRun(one);
    await one.client.post('/api/bots/bot-2/restart');
    signal(hanging, 'SIGCONT');
    await one.until('the former leader has ended', async () => (await health(two)).code === 0 && !isAlive(hanging));
    await allRun(one);
    const after = await pids(one);
    expect((after as [string, number][]).slice(0, 2)).toEqual((before as [string, number][]).slice(0, 2));
  });

  it('are both away while the server is, and the bots live on', async () => {
    const before = await pids(one);
    const leader = one.pid;
    await server.stop('SIGKILL');
    await one.until('the leader has ended', async () => !isAlive(leader), 30);
    expect(IDS.map((id) => one.processesOf(id).length)).toEqual(IDS.map(() => 1));
    await server.start();
    await one.start();
    await allRun(one);
    expect(await pids(one)).toEqual(before);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
