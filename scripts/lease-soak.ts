import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LeaseView, ReserveStatus } from '../lib/services/lease-api.ts';
import { createSandbox, type Sandbox } from '../test/e2e/support.ts';
import { type SiteVisitor, siteVisitor } from '../test/support/site-visitor.ts';
import { runInterruptibly } from './lib/interruptible.ts';

/** WordPress sites leased in a row: each shows its page, is dirtied, runs out, and must be clean when it comes again. */

const HELP = `npm run soak:leases -- [--leases N] [--ttl S] [--sites N] [--json]

Keeps warm WordPress sites with the process driver, which needs their Debian packages, and leases them one after the other. Each lease
must come from the reserve and show a clean front page; its holder logs in and writes a post; then its time runs out.

  --leases N  how many (50)
  --ttl S     seconds of each (30)
  --sites N   how many sites there are (2)
  --json      one JSON object on stdout

Exit code 0: more than 99 of 100 leases went well.`;

/** Beyond it a lease that nobody can be given has failed. */
const PATIENCE_SECONDS = 60;
const ENOUGH = 0.99;

const { values } = parseArgs({
  options: {
    leases: { type: 'string', default: '50' },
    ttl: { type: 'string', default: '30' },
    sites: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [leases, ttlSeconds, sites] = [values.leases, values.ttl, values.sites].map(Number);
if (values.help || ![leases, ttlSeconds, sites].every((value) => Number.isInteger(value) && (value as number) > 0)) {
  console.error(HELP);
  process.exit(values.help ? 0 : 2);
}

interface Served {
  readonly site: string;
  readonly acquireMs: number;
  readonly pageMs: number;
  /** Why it did not go well; empty otherwise. */
  readonly trouble: string;
}

await runInterruptibly(async (signal) => {
  const sandbox = await createSandbox({
    basePort: 28_600,
    env: { DEFAULT_TEMPLATE: 'wordpress', POOL_TARGET_SIZE: String(sites), POOL_MAX_SIZE: String(sites) },
  });
  try {
    await sandbox.start();
    await untilReady(sandbox, sites as number);
    const served: Served[] = [];
    for (let number = 1; number <= (leases as number) && !signal.aborted; number++) {
      const one = await serve(sandbox, ttlSeconds as number, signal);
      served.push(one);
      console.error(
        `${number}/${leases} ${one.site} ${one.acquireMs.toFixed(1)} ms, page ${one.pageMs.toFixed(0)} ms ${one.trouble}`,
      );
    }
    return report(served);
  } finally {
    await sandbox.dispose();
  }
});

async function serve(sandbox: Sandbox, ttl: number, signal: AbortSignal): Promise<Served> {
  let [site, acquireMs, pageMs] = ['-', 0, 0];
  try {
    await untilReady(sandbox, 1);
    const asked = performance.now();
    const lease = await sandbox.client.post<LeaseView>('/api/leases', { ttlSeconds: ttl });
    acquireMs = performance.now() - asked;
    site = lease.instanceId;
    if (!lease.fromPool) throw new Error('it did not come from the reserve');
    const visitor = siteVisitor(sandbox.url + lease.url, { 'X-Bunkhouse-Token': sandbox.client.token });
    const opened = performance.now();
    await visit(visitor, lease);
    pageMs = performance.now() - opened;
    const leftMs = Date.parse(lease.expiresAt) - Date.now();
    await sleep(Math.max(0, leftMs), undefined, { signal }).catch(() => {});
    return { site, acquireMs, pageMs, trouble: '' };
  } catch (error) {
    return { site, acquireMs, pageMs, trouble: (error as Error).message.split('\n')[0] as string };
  }
}

/** Sees that nothing of the last tenant is there, and leaves something. */
async function visit(visitor: SiteVisitor, { access }: LeaseView): Promise<void> {
  const { status, text } = await visitor.visit('/');
  if (status !== 200 || !text.includes('<title>A WordPress site')) throw new Error(`its front page answered ${status}`);
  if (text.includes('Left behind')) throw new Error('it shows a post of an earlier tenant');
  if (!(await visitor.logIn('admin', access?.password ?? ''))) throw new Error('nobody could log in');
  await visitor.rest('POST', '/posts', { title: 'Left behind', status: 'publish' });
}

function untilReady(sandbox: Sandbox, count: number): Promise<unknown> {
  const ask = async (): Promise<boolean> => {
    const { reserves } = await sandbox.client.get<{ reserves: ReserveStatus[] }>('/api/pool/reserve');
    return reserves.some(({ template, ready }) => template === 'wordpress' && ready >= count);
  };
  return sandbox.until(`${count} sites are ready`, ask, PATIENCE_SECONDS);
}

function report(served: readonly Served[]): number {
  const good = served.filter(({ trouble }) => trouble === '');
  const rate = served.length === 0 ? 0 : good.length / served.length;
  const acquire = good.map(({ acquireMs }) => acquireMs).sort((a, b) => a - b);
  const median = acquire[Math.floor(acquire.length / 2)] ?? null;
  const facts = {
    leases: served.length,
    good: good.length,
    rate,
    medianAcquireMs: median,
    slowestAcquireMs: acquire.at(-1) ?? null,
  };
  if (values.json) console.log(JSON.stringify({ ...facts, served }, null, 2));
  else
    console.log(
      `${good.length} of ${served.length} leases went well; acquire: median ${median?.toFixed(1)} ms, slowest ${acquire.at(-1)?.toFixed(1)} ms`,
    );
  return rate > ENOUGH ? 0 : 1;
}
