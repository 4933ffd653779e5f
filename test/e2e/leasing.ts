import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LeaseView, ReserveStatus } from '../../lib/services/lease-api.ts';
import type { Client, Reply } from './client.ts';
import { REPOSITORY, type Sandbox } from './support.ts';

/** What tenant.py says of itself. */
export interface Tenant {
  readonly bot_name: string;
  readonly pid: number;
  readonly uid: number;
  readonly token: string;
  readonly lease: {
    readonly id: string;
    readonly fence: number;
    readonly expiresAt: string;
    readonly owner: string;
  } | null;
  readonly note: string;
}

export interface LeasedOptions {
  /** Of the reserve, as YAML. */
  readonly reserve: string;
  /** Checks that prove it clean, beside that there is no note. */
  readonly verify?: readonly (readonly string[])[];
  /** Paths that a reset keeps. */
  readonly keep?: readonly string[];
  readonly perOwner?: number;
}

/** A template of tenant.py, which is cleaned between two leases. */
export async function tenantTemplate({ reserve, verify = [], keep = [], perOwner }: LeasedOptions): Promise<string> {
  const program = (name: string): Promise<string> => readFile(join(REPOSITORY, 'test/fixtures/bots', name), 'utf8');
  const files = [
    { path: 'bot.py', text: await program('tenant.py') },
    { path: 'dirty.py', text: await program('dirty.py') },
  ];
  const checks = [['test', '!', '-e', 'note'], ...verify].map((command) => ({
    kind: 'exec',
    command,
    timeoutSeconds: 10,
  }));
  return `name: tenant
description: Handed out on lease, for tests
command: [python3, -u, bot.py]
env: { PORT: "{{port}}", HOST: "{{host}}", TOKEN: "{{secret.token}}" }
secrets: { token: {} }
files: ${JSON.stringify(files)}
readiness: { kind: notify, startupSeconds: 30 }
stop: { signal: SIGTERM, graceSeconds: 1 }
backoff: { minSeconds: 0.2, maxSeconds: 2 }
lease:
  ttlSeconds: 60
  maxTtlSeconds: 600
  perOwner: ${perOwner ?? 'null'}
  reserve: ${reserve}
  reset:
    steps: [{ kind: clear, keep: ${JSON.stringify(keep)} }]
    verify: ${JSON.stringify(checks)}
`;
}

export interface Wish {
  readonly owner?: string;
  readonly ttlSeconds?: number;
  readonly waitSeconds?: number;
}

/** Asks for a lease; any answer will do. */
export function ask(client: Client, wish: Wish = {}, key?: string): Promise<Reply> {
  const headers = key === undefined ? {} : { 'Idempotency-Key': key };
  return client.request('/api/leases', { method: 'POST', json: { template: 'tenant', ...wish }, headers });
}

/** Throws on any answer but a lease. */
export async function acquire(client: Client, wish: Wish = {}, key?: string): Promise<LeaseView> {
  const { status, body } = await ask(client, wish, key);
  if (status !== 201) throw new Error(`no lease: ${status} ${JSON.stringify(body)}`);
  return body as LeaseView;
}

/** What the leased process itself says, through the proxy. */
export const tenantOf = (client: Client, { url }: LeaseView): Promise<Tenant> => client.get(url);

export async function reserveOf(client: Client): Promise<ReserveStatus> {
  const { reserves } = await client.get<{ reserves: ReserveStatus[] }>('/api/pool/reserve');
  return reserves.find(({ template }) => template === 'tenant') as ReserveStatus;
}

/** Waits until so many are ready, and nothing is being made, cleaned or on lease. */
export function untilAllReady(sandbox: Sandbox, ready: number, seconds = 60): Promise<ReserveStatus> {
  return sandbox.until(
    `${ready} are ready`,
    async () => {
      const reserve = await reserveOf(sandbox.client);
      return reserve.ready >= ready && reserve.warming + reserve.resetting + reserve.assigned === 0 && reserve;
    },
    seconds,
  );
}

/** Everything that this user has on the machine but its directories below `/bots/`: processes, files, kernel objects. Takes root. */
export function tracesOf(uid: number): string[] {
  const places = ['/tmp', '/var/tmp', '/dev/shm', '/run/lock', '/var/spool'];
  const found = execFileSync('find', [...places, '-xdev', '-uid', String(uid)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const files = found.split('\n').filter((path) => path !== '' && !path.includes('/bots/'));
  const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && hasUid(pid, uid));
  const objects = ['-m', '-s', '-q'].flatMap((kind) =>
    execFileSync('ipcs', ['-c', kind], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.split(/\s+/).includes(String(uid))),
  );
  return [...files, ...processes.map((pid) => `process ${pid}`), ...objects];
}

// Private

function hasUid(pid: string, uid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const uids = /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
    return uids.includes(String(uid)) && !/^State:\s+Z/m.test(status);
  } catch {
    return false;
  }
}
