import type { LeaseView } from '../../lib/services/lease-api.ts';
import { type Client, createClient, type Reply } from './client.ts';
import { acquire, tenantOf, type Wish } from './leasing.ts';
import { sleep } from './support.ts';

/** Holders that acquire, use, extend and give back without rest, from supervisors that die at any moment, and note what they were told. */

const PATIENCE_MS = 90_000;

export interface TrafficOptions {
  /** One of them leads. */
  readonly urls: readonly string[];
  readonly adminToken: string;
  readonly holders: number;
  /** In [0, 1). */
  readonly random: () => number;
}

export class Traffic {
  /** What went wrong, as sentences. */
  readonly violations: string[] = [];
  /** Leases that were answered and last as far as their holders know. */
  readonly held = new Map<string, LeaseView>();
  answered = 0;
  fromPool = 0;
  readonly #options: TrafficOptions;
  readonly #fences = new Map<number, string>();
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: TrafficOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const admin = this.#clients(this.#options.adminToken);
    const names = Array.from({ length: this.#options.holders }, (_, n) => `holder-${n}`);
    const holders: (readonly [string, readonly Client[]])[] = [];
    for (const owner of names) {
      const { token } = await persistently(admin, (client) => client.post<{ token: string }>('/api/tokens', { owner }));
      holders.push([owner, this.#clients(token)]);
    }
    this.#running = Promise.all(holders.map(([owner, clients]) => this.#hold(owner, clients)));
    this.#running.catch(() => {});
  }

  /** Ends the traffic; leases that last stay as they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Compares what holders were told with what the supervisor knows now. */
  async audit(): Promise<void> {
    const clients = this.#clients(this.#options.adminToken);
    for (const [bot, { id, fence }] of [...this.held]) {
      const kept = await persistently(clients, (client) => ofLeader(client.request(`/api/leases/${id}`)));
      if (this.held.get(bot)?.id !== id) continue; // given back meanwhile
      const lease = kept.body as LeaseView;
      if (kept.status !== 200 || lease.end !== null || lease.fence !== fence || lease.instanceId !== bot)
        this.violations.push(`lease ${id} of ${bot} was answered and is now ${JSON.stringify(kept.body)}`);
    }
  }

  // Private

  #clients(token: string): readonly Client[] {
    return this.#options.urls.map((url) => createClient(url, token));
  }

  async #hold(owner: string, clients: readonly Client[]): Promise<void> {
    for (let n = 0; !this.#stopped; n++) await this.#once(clients, `${owner}-${n}`);
  }

  async #once(clients: readonly Client[], key: string): Promise<void> {
    const { random } = this.#options;
    const isShort = random() < 0.3;
    const wish: Wish = { ttlSeconds: isShort ? 2 : 300 };
    const lease = await persistently(clients, (client) => acquire(client, wish, key));
    if (lease.end !== null) return; // over before its answer arrived
    this.#note(lease);
    try {
      await this.#use(clients, lease, key);
      const path = `/api/leases/${lease.id}`;
      if (!isShort && random() < 0.5)
        await persistently(clients, (client) => client.post(`${path}/extend`, { seconds: 10 }));
      if (isShort) await sleep(Math.max(0, Date.parse(lease.expiresAt) - Date.now() - 200));
      this.held.delete(lease.instanceId);
      if (!isShort) await persistently(clients, (client) => client.delete(path));
    } finally {
      this.held.delete(lease.instanceId);
    }
  }

  #note(lease: LeaseView): void {
    this.answered += 1;
    if (lease.fromPool) this.fromPool += 1;
    const other = this.held.get(lease.instanceId);
    if (other !== undefined)
      this.violations.push(`${lease.instanceId} is on leases ${other.id} and ${lease.id} at a time`);
    const same = this.#fences.get(lease.fence);
    if (same !== undefined && same !== lease.id)
      this.violations.push(`leases ${same} and ${lease.id} have fence ${lease.fence}`);
    this.held.set(lease.instanceId, lease);
    this.#fences.set(lease.fence, lease.id);
  }

  /** Looks for what an earlier holder left, and leaves something. */
  async #use(clients: readonly Client[], lease: LeaseView, key: string): Promise<void> {
    const ends = Date.parse(lease.expiresAt);
    const over = (): boolean => Date.now() > ends;
    const tenant = await persistently(clients, (client) => tenantOf(client, lease), over);
    if (tenant === null) return;
    if (tenant.note !== '') this.violations.push(`${lease.instanceId} came with the note ${tenant.note} for ${key}`);
    if (tenant.lease !== null && tenant.lease.fence > lease.fence && Date.now() < ends)
      this.violations.push(`${lease.instanceId} knows of a later lease than ${lease.id}`);
    await persistently(clients, (client) => client.post(`${lease.url}note`, key), over);
  }
}

/** One that stands by knows nothing. */
async function ofLeader(answer: Promise<Reply>): Promise<Reply> {
  const reply = await answer;
  if (reply.status >= 500) throw new Error(`${reply.status}`);
  return reply;
}

/** Asks one after the other until one answers; null when there is no use in it any more. */
function persistently<T>(clients: readonly Client[], ask: (client: Client) => Promise<T>): Promise<T>;
function persistently<T>(
  clients: readonly Client[],
  ask: (client: Client) => Promise<T>,
  isVain: () => boolean,
): Promise<T | null>;
async function persistently<T>(
  clients: readonly Client[],
  ask: (client: Client) => Promise<T>,
  isVain: () => boolean = () => false,
): Promise<T | null> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let n = 0; ; n++) {
    try {
      return await ask(clients[n % clients.length] as Client);
    } catch (error) {
      if (isVain()) return null;
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
