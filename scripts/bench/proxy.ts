import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSandbox, freePort, type Sandbox } from '../../test/e2e/support.ts';
import { waitFor } from '../../test/support/wait-for.ts';
import type { BenchOptions, Row } from './bench.ts';
import { median, percentile } from './figures.ts';
import { BACKEND_CONFIG, startCaddyProxy, startNginx } from './proxies.ts';
import type { Fetched, Fetches } from './proxy-client.ts';

const CLIENT = join(import.meta.dirname, 'proxy-client.ts');
const LARGE_MIB = 64;

const TEMPLATE = `name: backend
description: Answers the benchmark of the proxy
command: [/usr/sbin/nginx, -p, ., -c, nginx.conf, -e, stderr]
directories: [tmp]
files: [{ path: nginx.conf, text: ${JSON.stringify(BACKEND_CONFIG)} }]
readiness: { kind: listen, startupSeconds: 20 }
checks: [{ kind: http, path: /small }]
`;

/** Ways to the same backend. */
type Way = 'direct' | 'bunkhouse' | 'caddy' | 'nginx';
type Ports = Readonly<Record<Way, number>>;

/** What is measured, each round with every way in turn. */
const COURSES = {
  busy: { path: '/small', connections: 64, count: 20_000 },
  alone: { path: '/small', connections: 1, count: 2_000 },
  large: { path: '/large', connections: 4, count: 12 },
} as const;
type Course = keyof typeof COURSES;

/** Bunkhouse's proxy beside those of Caddy and nginx: same machine, same backend, same client, in one run. */
export async function runProxy({ rounds, progress, signal }: BenchOptions): Promise<readonly Row[]> {
  const sandbox = await createSandbox({
    basePort: 28_300,
    templates: { 'backend.yaml': TEMPLATE },
    env: { LOG_LEVEL: 'warn', DEFAULT_TEMPLATE: 'backend' },
  });
  const children: { stop(): Promise<void> }[] = [];
  try {
    progress('starting backend, Caddy and nginx …');
    const direct = await startBackend(sandbox);
    const ports: Ports = {
      direct,
      bunkhouse: Number(new URL(sandbox.url).port),
      caddy: await freePort(),
      nginx: await freePort(),
    };
    children.push(startCaddyProxy(sandbox.directory, ports.caddy, direct));
    children.push(startNginx(sandbox.directory, ports.nginx, direct));
    for (const port of [ports.caddy, ports.nginx]) {
      await waitFor('the proxy answers', async () => (await fetch(`http://127.0.0.1:${port}/small`)).ok);
    }
    return rowsOf(await measure(ports, sandbox.client.token, rounds, progress, signal));
  } finally {
    for (const child of children) await child.stop();
    await sandbox.dispose();
  }
}

// Private

type Samples = Readonly<Record<Course, Readonly<Record<Way, Fetched[]>>>>;

async function startBackend(sandbox: Sandbox): Promise<number> {
  await sandbox.start();
  await sandbox.client.create({ instanceId: 'bot' });
  const { port, container } = await sandbox.untilState('bot', 'running');
  const directory = sandbox.processesOf('bot')[0]?.directory;
  if (directory === undefined || port === null) throw new Error(`no directory of the bot in ${container}`);
  writeFileSync(join(directory, 'large'), Buffer.alloc(LARGE_MIB * 1024 * 1024, 'x'), { mode: 0o644 });
  return port;
}

async function measure(
  ports: Ports,
  token: string,
  rounds: number,
  progress: BenchOptions['progress'],
  signal: AbortSignal,
): Promise<Samples> {
  const empty = () => ({ direct: [], bunkhouse: [], caddy: [], nginx: [] });
  const samples = { busy: empty(), alone: empty(), large: empty() } as Record<Course, Record<Way, Fetched[]>>;
  // The first round warms up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    progress(round === 0 ? 'warming up …' : `round ${round} of ${rounds} …`);
    for (const course of Object.keys(COURSES) as Course[]) {
      for (const way of Object.keys(ports) as Way[]) {
        signal.throwIfAborted();
        const fetched = await fetchBy(way, ports[way], token, course);
        if (round > 0) samples[course][way].push(fetched);
      }
    }
  }
  return samples;
}

async function fetchBy(way: Way, port: number, token: string, course: Course): Promise<Fetched> {
  const { path, connections, count } = COURSES[course];
  const ours = way === 'bunkhouse';
  const order: Fetches = {
    port,
    path: ours ? `/bots/bot${path}` : path,
    headers: { Host: '127.0.0.1', ...(ours ? { Authorization: `Bearer ${token}` } : {}) },
    connections,
    count,
  };
  const child = spawn(process.execPath, [CLIENT], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(order));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the client of ${way} (${course}) ended with code ${code}`);
  return JSON.parse(text) as Fetched;
}

function rowsOf(samples: Samples): Row[] {
  const { connections } = COURSES.busy;
  const perSecond = (way: Way) => median(samples.busy[way].map(({ times, tookMs }) => (times.length / tookMs) * 1000));
  const rate = (way: Way) =>
    median(samples.large[way].map(({ bytes, tookMs }) => bytes / 1024 / 1024 / (tookMs / 1000)));
  const latency = (way: Way, part: number) => median(samples.alone[way].map(({ times }) => percentile(times, part)));
  const added = (way: Way, part: number) => latency(way, part) - latency('direct', part);
  const each = (
    name: string,
    unit: Row['unit'],
    note: string,
    value: (way: Way) => number,
    ways: readonly Way[],
  ): Row[] => ways.map((way) => ({ name: `${way}: ${name}`, value: value(way), unit, note }));
  const ratios = (name: string, value: (way: Way) => number): Row[] =>
    (['caddy', 'nginx'] as const).map((other): Row => {
      const note = `bunkhouse ${value('bunkhouse').toFixed(2)}, ${other} ${value(other).toFixed(2)}`;
      return { name: `${name}: bunkhouse / ${other}`, value: value('bunkhouse') / value(other), unit: 'x', note };
    });
  const all = ['direct', 'bunkhouse', 'caddy', 'nginx'] as const;
  const proxies = ['bunkhouse', 'caddy', 'nginx'] as const;
  const alone = 'above direct, one kept connection';
  return [
    ...each('small GETs', '/s', `${connections} kept connections`, perSecond, all),
    ...each('added latency p50', 'ms', alone, (way) => added(way, 0.5), proxies),
    ...each('added latency p99', 'ms', alone, (way) => added(way, 0.99), proxies),
    ...each('large bodies', 'MiB/s', `${LARGE_MIB} MiB each, ${COURSES.large.connections} at a time`, rate, all),
    ...ratios('small GETs', perSecond),
    ...ratios('added latency p50', (way) => added(way, 0.5)),
    ...ratios('large bodies', rate),
  ];
}
