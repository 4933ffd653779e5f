/** A process of its own that acquires leases as it is told on standard input, and tells on standard output how long each took. */
import { Agent, request } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Order {
  readonly url: string;
  readonly token: string;
  readonly template: string;
  readonly count: number;
  /** One after the other, so many a second whether or not the earlier ones are answered, or all at the same time. */
  readonly pace: 'alone' | 'at once' | { readonly perSecond: number };
}

export interface Told {
  /** Milliseconds from the request to the whole answer, of each. */
  readonly times: readonly number[];
  /** From the first request to the last answer. */
  readonly tookMs: number;
  readonly ids: readonly string[];
  readonly fromPool: number;
  /** What this process took itself, which the times hold as well: processor time, and the longest it did not look for answers. */
  readonly cpuMs: number;
  readonly longestMs: number;
}

interface Answer {
  readonly ms: number;
  readonly id: string;
  readonly fromPool: boolean;
}

/** As many connections as there are requests at a time, open before they are needed. */
const agent = new Agent({ keepAlive: true, maxFreeSockets: Number.POSITIVE_INFINITY });

const connectionsOf = ({ count, pace }: Order): number => (pace === 'alone' ? 1 : pace === 'at once' ? count : 64);

function open({ url }: Order): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sent = request(`${url}/health`, { agent }, (response) => response.resume().once('end', resolve));
  sent.once('error', reject);
  sent.end();
  return promise;
}

function acquire({ url, token, template }: Order): Promise<Answer> {
  const began = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const sent = request(`${url}/api/leases`, { method: 'POST', agent, headers }, async (response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const ms = performance.now() - began;
    const text = Buffer.concat(chunks).toString();
    if (response.statusCode !== 201) return reject(new Error(`${response.statusCode}: ${text}`));
    const { id, fromPool } = JSON.parse(text) as { id: string; fromPool: boolean };
    resolve({ ms, id, fromPool });
  });
  sent.once('error', reject);
  sent.end(JSON.stringify({ template }));
  return promise;
}

async function run(order: Order): Promise<Answer[]> {
  const { count, pace } = order;
  if (pace === 'at once') return Promise.all(Array.from({ length: count }, () => acquire(order)));
  if (pace !== 'alone') return everySoOften(order, pace.perSecond);
  const answers: Answer[] = [];
  while (answers.length < count) answers.push(await acquire(order));
  return answers;
}

async function everySoOften(order: Order, perSecond: number): Promise<Answer[]> {
  const began = performance.now();
  const running: Promise<Answer>[] = [];
  while (running.length < order.count) {
    const due = Math.min(order.count, ((performance.now() - began) / 1000) * perSecond);
    while (running.length < due) running.push(acquire(order));
    await sleep(1);
  }
  return Promise.all(running);
}

if (import.meta.main) {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  const order = JSON.parse(text) as Order;
  await Promise.all(Array.from({ length: connectionsOf(order) }, () => open(order)));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const answers = await run(order);
  const tookMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const told: Told = {
    times: answers.map(({ ms }) => ms),
    tookMs,
    cpuMs: (user + system) / 1000,
    longestMs: delay.max / 1e6,
    ids: answers.map(({ id }) => id),
    fromPool: answers.filter(({ fromPool }) => fromPool).length,
  };
  process.stdout.write(JSON.stringify(told), () => process.exit(0));
}
