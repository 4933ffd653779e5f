import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PoolStatus } from '../../lib/services/pool-api.ts';
import type { UsageReport, UsageRow } from '../../lib/services/usage-api.ts';
import { createClient } from './client.ts';
import { signal } from './processes.ts';
import { createSandbox, fixtureBot, type Sandbox, sleep } from './support.ts';

/** What real bots used is counted once and whole, while their supervisor is stopped, killed and away. */

/** Between the start of a process and the note of it; on a busy machine that takes a while. */
const NOTED_SECONDS = 1;
const AWAY_SECONDS = 8;

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await createSandbox({ basePort: 25_700, env: { HEALTH_CHECK_INTERVAL: '500' } });
  await sandbox.start();
  for (const [id, owner] of [
    ['steady', 'ann'],
    ['victim', 'ann'],
    ['other', 'bob'],
  ] as const) {
    await sandbox.client.create({ ...(await fixtureBot(id, 'server.py')), owner } as { instanceId: string });
  }
  await sandbox.client.create(await fixtureBot('alone', 'server.py', { template: 'plain' }));
  for (const id of ['steady', 'victim', 'other', 'alone']) await sandbox.untilState(id, 'running');
});
afterAll(() => sandbox?.dispose());

const pidOf = (bot: string): number => sandbox.processesOf(bot)[0]?.pid ?? 0;

/** For how many seconds the process has been there, by the kernel. */
async function ageOf(pid: number): Promise<number> {
  const [stat, uptime] = await Promise.all([readFile(`/proc/${pid}/stat`, 'utf8'), readFile('/proc/uptime', 'utf8')]);
  const started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]) / 100;
  return Number(uptime.split(' ')[0]) - started;
}

const report = (query = ''): Promise<UsageReport> => sandbox.client.get(`/api/usage${query}`);

async function usageOf(bot: string): Promise<UsageRow> {
  const row = (await report()).usage.find(({ instanceId }) => instanceId === bot);
  if (row === undefined) throw new Error(`there is no usage of ${bot}`);
  return row;
}

/** What was counted, and how long its process was there before and after it was looked at. */
async function compared(bot: string) {
  const least = await ageOf(pidOf(bot));
  await sandbox.client.post('/api/pool/health-check');
  const { runningSeconds } = await usageOf(bot);
  return { counted: runningSeconds, least, most: await ageOf(pidOf(bot)) };
}

/** `before`: what processes that are gone were there for. */
function expectTrue({ counted, least, most }: Awaited<ReturnType<typeof compared>>, before = 0): void {
  expect(counted).toBeGreaterThan(before + least - NOTED_SECONDS);
  expect(counted).toBeLessThan(before + most + NOTED_SECONDS);
}

describe('usage of a bot that runs all the time', () => {
  it('is as old as its process', async () => {
    expectTrue(await compared('steady'));
  });

  it('has its memory and CPU time, as far as they are sampled', async () => {
    await sandbox.until('it was sampled', async () => (await sandbox.client.bot('steady')).memory !== null);
    await sandbox.client.post('/api/pool/health-check');
    const { memory, cpuSeconds } = await sandbox.client.bot('steady');
    const used = await usageOf('steady');
    const mean = used.pssByteSeconds / used.runningSeconds;
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(1.5 * (memory?.pssBytes ?? 0));
    expect(used.cpuSeconds).toBeGreaterThan(0);
    expect(Math.abs(used.cpuSeconds - (cpuSeconds ?? 0))).toBeLessThan(0.5);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('goes on while the supervisor is away after %s', async (how) => {
    const before = await compared('steady');
    await sandbox.stop(how);
    await sleep(AWAY_SECONDS * 1000);
    await sandbox.start();
    await sandbox.untilState('steady', 'running');
    const after = await compared('steady');
    expect(after.counted - before.counted).toBeGreaterThan(AWAY_SECONDS);
    expectTrue(after);
  });

  it('is the same when the supervisor is killed over and over', async () => {
    for (let times = 0; times < 3; times += 1) {
      await sandbox.stop('SIGKILL');
      await sandbox.start();
    }
    await sandbox.untilState('steady', 'running');
    expectTrue(await compared('steady'));
  });

  it('is in one file that is replaced as a whole', async () => {
    await sandbox.stop('SIGTERM');
    const folder = join(sandbox.directory, 'usage');
    const files = (await readdir(folder)).filter((name) => name !== 'alone.json');
    expect(files.filter((name) => !/^\d{4}-\d\d-\d\dT\d\d\.json$/.test(name))).toEqual(['open.json']);
    const open = JSON.parse(await readFile(join(folder, 'open.json'), 'utf8'));
    expect(open.readings.steady).toMatchObject({ owner: 'ann', process: { pid: pidOf('steady') } });
    await sandbox.start();
    await sandbox.untilState('steady', 'running');
  });
});

describe('usage of a bot that dies', () => {
  it('has both of its processes when it died while the supervisor was away', async () => {
    await sandbox.untilState('victim', 'running');
    const first = await compared('victim');
    await sandbox.stop('SIGKILL');
    await sleep(2000);
    const pid = pidOf('victim');
    const lived = await ageOf(pid);
    signal(pid, 'SIGKILL');
    await sandbox.until('it runs again', async () => ![0, pid].includes(pidOf('victim')));
    await sleep(2000);
    await sandbox.start();
    await sandbox.untilState('victim', 'running');
    const second = await compared('victim');
    expect(second.counted).toBeGreaterThan(first.counted);
    expectTrue(second, lived);
  });

  it('is kept when it is deleted', async () => {
    await sandbox.client.delete('/api/bots/victim');
    await sandbox.until('it is gone', async () => (await sandbox.client.request('/api/bots/victim')).status === 404);
    const { runningSeconds } = await usageOf('victim');
    await sleep(2000);
    expect((await usageOf('victim')).runningSeconds).toBe(runningSeconds);
    await sandbox.stop('SIGTERM');
    await sandbox.start();
    expect((await usageOf('victim')).runningSeconds).toBeCloseTo(runningSeconds, 1);
  });
});

describe('a report of usage', () => {
  it('adds up, and shows owners their own', async () => {
    const { usage, total } = await report();
    expect(usage.map(({ owner, instanceId }) => `${owner}/${instanceId}`)).toEqual([
      'admin/alone',
      'ann/steady',
      'ann/victim',
      'bob/other',
    ]);
    const sum = usage.reduce((seconds, { runningSeconds }) => seconds + runningSeconds, 0);
    expect(total.runningSeconds).toBeCloseTo(sum, 1);
    const { token } = await sandbox.client.post<{ token: string }>('/api/tokens', { owner: 'bob' });
    const bob = createClient(sandbox.url, token);
    expect((await bob.get<UsageReport>('/api/usage')).usage.map(({ owner }) => owner)).toEqual(['bob']);
    expect(await bob.request('/api/usage?owner=ann')).toMatchObject({ status: 403 });
    expect((await bob.request('/api/usage?by=owner&format=csv')).body).toMatch(
      /^owner,runningSeconds,pssByteSeconds,cpuSeconds\nbob,[\d.]+,\d+,[\d.]+\n$/,
    );
  });
});

describe('what bots would cost one per container', () => {
  const known = () =>
    sandbox.until(
      'a sample was taken',
      async () => {
        const { onePerContainer, pools } = await sandbox.client.get<PoolStatus>('/api/pool/status');
        return onePerContainer !== null && { onePerContainer, pools };
      },
      120,
    );

  it('is said once each kind of bot that runs was seen alone, and still after a restart', async () => {
    expect((await sandbox.client.get<PoolStatus>('/api/pool/status')).onePerContainer).toBeNull();
    for (const id of ['steady', 'other']) {
      await sandbox.client.post(`/api/bots/${id}/stop`);
      await sandbox.untilState(id, 'stopped');
    }
    const { onePerContainer, pools } = await known();
    const own = pools.find(({ template }) => template === 'plain');
    expect(onePerContainer.samples).toMatchObject([{ template: 'plain', container: own?.id }]);
    expect(onePerContainer.pssBytes).toBe(onePerContainer.samples[0]?.pssBytes);
    const bot = own?.bots[0]?.memory?.pssBytes ?? 0;
    expect(bot).toBeGreaterThan(0);
    expect(onePerContainer.pssBytes).toBeGreaterThan(bot);
    await sandbox.stop('SIGTERM');
    const kept = JSON.parse(await readFile(join(sandbox.directory, 'usage/alone.json'), 'utf8'));
    expect(kept.samples).toMatchObject([{ template: 'plain', pssBytes: expect.any(Number) }]);
    await sandbox.start();
    expect((await known()).onePerContainer.samples).toHaveLength(1);
  });
});
