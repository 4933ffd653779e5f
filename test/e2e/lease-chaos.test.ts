import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startValkey, VALKEY, type ValkeyServer } from '../support/valkey-server.ts';
import { Traffic } from './lease-traffic.ts';
import { tenantTemplate, untilAllReady } from './leasing.ts';
import { signal } from './processes.ts';
import { createSandbox, type Sandbox, sleep } from './support.ts';

/** Supervisors are killed at random moments while bots are handed out: no bot is lost, doubled or handed out dirty. */

const SECONDS = Number(process.env.BUNKHOUSE_CHAOS_SECONDS ?? 20);
const TARGET = 3;
const MOST = 8;

let server: ValkeyServer | null = null;
let sandboxes: Sandbox[] = [];

afterEach(async () => {
  for (const sandbox of sandboxes) await sandbox.stop('SIGKILL');
  for (const sandbox of sandboxes) await sandbox.dispose();
  await server?.dispose();
  [sandboxes, server] = [[], null];
});

async function open(env: Record<string, string>): Promise<Sandbox> {
  const reserve = `{ target: ${TARGET}, min: 2, batchSize: 2, batchSpacingSeconds: 0.5 }`;
  const sandbox = await createSandbox({
    basePort: 26_700,
    templates: { 'tenant.yaml': await tenantTemplate({ reserve }) },
    env: { DEFAULT_TEMPLATE: 'tenant', POOL_MAX_SIZE: String(MOST), ...env },
  });
  sandboxes.push(sandbox);
  return sandbox;
}

/** Whether it leads: the other one stands by or is dead. */
const leads = (sandbox: Sandbox): Promise<boolean> =>
  fetch(`${sandbox.url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

async function leader(): Promise<Sandbox> {
  for (;;) {
    for (const sandbox of sandboxes) if (await leads(sandbox)) return sandbox;
    await sleep(50);
  }
}

/** Kills whoever leads at random moments, and has it come back. Returns how often. */
async function wreak(traffic: Traffic, random: () => number, hows: readonly NodeJS.Signals[]): Promise<number> {
  const until = performance.now() + SECONDS * 1000;
  let kills = 0;
  while (performance.now() < until) {
    const victim = await leader();
    await sleep(random() * 1500);
    const how = hows[kills % hows.length] as NodeJS.Signals;
    if (how === 'SIGSTOP') {
      signal(victim.pid, 'SIGSTOP');
      const others = sandboxes.filter((sandbox) => sandbox !== victim);
      while (!(await Promise.all(others.map(leads))).includes(true)) await sleep(50);
      const hanging = victim.pid;
      signal(hanging, 'SIGCONT'); // whatever it was about to do is another's by now, and it ends
      await sleep(500);
    }
    await victim.stop(how === 'SIGSTOP' ? 'SIGKILL' : how);
    kills += 1;
    victim.start().catch(() => {});
    await traffic.audit();
  }
  return kills;
}

async function play(token: string, hows: readonly NodeJS.Signals[]): Promise<void> {
  const [first] = sandboxes as [Sandbox];
  const traffic = new Traffic({
    urls: sandboxes.map(({ url }) => url),
    adminToken: token,
    holders: 4,
    random: Math.random,
  });
  await traffic.start();
  const kills = await wreak(traffic, Math.random, hows);
  await traffic.stop();
  const last = await leader();
  while (!isThere(last)) await sleep(50);
  console.log(`${traffic.answered} leases (${traffic.fromPool} warm) over ${kills} deaths in ${SECONDS} s`);
  expect(traffic.violations).toEqual([]);
  expect(kills).toBeGreaterThan(SECONDS / 10);
  expect(traffic.answered).toBeGreaterThan(SECONDS / 4);

  const { ready } = await untilAllReady(last, TARGET, 90);
  const bots = await last.client.bots();
  expect(bots.length).toBe(ready);
  expect(ready).toBeLessThanOrEqual(MOST);
  expect(new Set(bots.map(({ container, slot }) => `${container}/${slot}`)).size).toBe(ready);
  expect(bots.map(({ instanceId }) => first.processesOf(instanceId).length)).toEqual(bots.map(() => 1));
  const { leases } = await last.client.get<{ leases: unknown[] }>('/api/leases');
  expect(leases).toEqual([]);
}

/** Its client is known once it has seen that it is ready. */
function isThere(sandbox: Sandbox): boolean {
  try {
    return sandbox.client !== null;
  } catch {
    return false;
  }
}

describe('while supervisors die', () => {
  it('the file store keeps every lease', async () => {
    const one = await open({});
    const { token } = await one.start();
    await untilAllReady(one, TARGET);
    await play(token, ['SIGKILL']);
  });

  it.skipIf(VALKEY === null)('two supervisors of one Valkey server never hand out one bot twice', async () => {
    server = await startValkey();
    const env = { STATE_URL: `valkey://127.0.0.1:${server.port}?lease=2` };
    const one = await open(env);
    const two = await open({ ...env, DATA_DIR: one.directory, TEMPLATE_DIR: join(one.directory, 'templates') });
    const { token } = await one.start();
    await symlink(join(one.directory, 'state'), join(two.directory, 'state')); // where the test looks for the token
    await untilAllReady(one, TARGET);
    two.start().catch(() => {});
    await play(token, ['SIGKILL', 'SIGSTOP', 'SIGTERM']);
  });
});
