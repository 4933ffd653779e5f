import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePorts } from '../support/ports.ts';
import { waitFor } from '../support/wait-for.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const CLI = join(REPOSITORY, 'lib/cli/bunkhouse.ts');

/** Nothing checks that it answers, so the make-believe one counts as running. */
const PLAIN = `name: plain
description: Only has to live
command: [bot]
readiness: { kind: process, startupSeconds: 5 }
`;
/** Handed out on lease; two are kept warm. */
const LEASED = `name: leased
description: Handed out for a time
command: [bot]
readiness: { kind: process, startupSeconds: 5 }
lease: { ttlSeconds: 60, maxTtlSeconds: 600, reserve: { target: 2, min: 2, batchSpacingSeconds: 0 }, reset: { steps: [{ kind: clear }] } }
`;
/** Handed out on lease, and made when somebody asks. */
const ON_DEMAND = `name: on-demand
description: Handed out for a time
command: [bot]
readiness: { kind: process, startupSeconds: 5 }
lease: { ttlSeconds: 60, reserve: { target: 0 } }
`;
/** Nobody answers on its port. */
/** Its bots share a service. */
const SERVED = `name: served
command: [/bin/true]
services: { store: { command: [/bin/true] } }
`;

const MUTE = `name: mute
description: Never answers
command: [bot]
readiness: { kind: process, startupSeconds: 5 }
checks: [{ kind: tcp, timeoutSeconds: 1 }]
`;

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Started {
  readonly ran: Promise<Ran>;
  /** What it wrote to standard output so far. */
  out(): string;
  /** The same of standard error. */
  err(): string;
  kill(signal: NodeJS.Signals): void;
}

/** Starts the real command line with nothing in its environment but this. */
export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', DATA_DIR: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const ran = new Promise<Ran>((done) => child.once('close', (code) => done({ code, out, err })));
  return { ran, out: () => out, err: () => err, kill: (signal) => void child.kill(signal) };
}

export const run = (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran> =>
  start(args, env).ran;

export interface Supervisor {
  readonly url: string;
  readonly directory: string;
  /** For `run`, so that the command line finds this supervisor and its token. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<Ran>;
}

/** A real supervisor with make-believe containers, started by `bunkhouse serve`. */
export async function startSupervisor(): Promise<Supervisor> {
  const directory = await mkdtemp(join(tmpdir(), 'bh-cli-'));
  const port = await freePorts(26_300, 26_399, 1);
  const env = {
    DATA_DIR: directory,
    PORT: String(port),
    POOL_DRIVER: 'memory',
    POOL_BASE_PORT: '26400',
    TEMPLATE_DIR: join(directory, 'templates'),
  };
  await mkdir(env.TEMPLATE_DIR);
  await writeFile(join(env.TEMPLATE_DIR, 'plain.yaml'), PLAIN);
  await writeFile(join(env.TEMPLATE_DIR, 'mute.yaml'), MUTE);
  await writeFile(join(env.TEMPLATE_DIR, 'leased.yaml'), LEASED);
  await writeFile(join(env.TEMPLATE_DIR, 'served.yaml'), SERVED);
  await writeFile(join(env.TEMPLATE_DIR, 'on-demand.yaml'), ON_DEMAND);
  const serving = start(['serve'], env);
  const url = `http://127.0.0.1:${port}`;
  try {
    await waitFor('the supervisor is ready', async () => (await fetch(`${url}/health`)).ok, 20_000);
  } catch (error) {
    serving.kill('SIGKILL');
    throw new Error(JSON.stringify(await serving.ran), { cause: error });
  }
  return {
    url,
    directory,
    env,
    async close() {
      serving.kill('SIGTERM');
      const ran = await serving.ran;
      await rm(directory, { recursive: true, force: true });
      return ran;
    },
  };
}
