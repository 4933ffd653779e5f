import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import type { BotView } from '../../lib/services/pool-api.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { type Client, createClient } from './client.ts';
import { killAll, type ProcessInfo, processesBelow } from './processes.ts';

export const REPOSITORY = resolve(import.meta.dirname, '../..');
/** Holds supervisor and freqtrade; scripts/test makes it. */
export const VENV = process.env.BUNKHOUSE_TEST_VENV ?? join(REPOSITORY, '.bunkhouse/venv');
export const FIXTURE_TEMPLATES = join(REPOSITORY, 'test/fixtures/templates');
const FIXTURE_BOTS = join(REPOSITORY, 'test/fixtures/bots');

/** A supervisor process with a data folder of its own, which it may outlive and find again. */
export interface Sandbox {
  readonly directory: string;
  readonly url: string;
  /** Of the orchestrator that runs now. Throws when none does. */
  readonly client: Client;
  /** Of the orchestrator that runs now. Throws when none does. */
  readonly pid: number;
  /** Starts the orchestrator and waits until it is ready. */
  start(): Promise<Client>;
  /** Starts it without waiting; resolves with exit code and output when it ends. */
  run(): Promise<{ readonly code: number | null; readonly output: string }>;
  /** Ends the orchestrator alone: bots go on. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Everything alive below the data folder: supervisords and bots, and the orchestrator not. */
  processes(): readonly ProcessInfo[];
  supervisords(): readonly ProcessInfo[];
  /** Processes that work in the bot's directory. */
  processesOf(bot: string): readonly ProcessInfo[];
  /** Asks until the answer is neither false nor undefined; throws with the state of all bots and logs after `seconds`. */
  until<T>(what: string, ask: () => Promise<T | false | undefined>, seconds?: number): Promise<T>;
  untilState(bot: string, state: BotView['state'], seconds?: number): Promise<BotView>;
  /** Ends everything and removes the folder. Does so after failures as well. */
  dispose(): Promise<void>;
}

export interface SandboxOptions {
  /** First port of the bots. */
  readonly basePort: number;
  /** Settings beside the usual ones. */
  readonly env?: Readonly<Record<string, string>>;
  /** What Node is to run; lib/main.ts when left out. */
  readonly main?: string;
  /** Files of its own folder of templates, instead of test/fixtures/templates. */
  readonly templates?: Readonly<Record<string, string>>;
}

export async function createSandbox({
  basePort,
  env = {},
  main = join(REPOSITORY, 'lib/main.ts'),
  templates,
}: SandboxOptions): Promise<Sandbox> {
  const directory = await makeTempDir();
  const ownTemplates = join(directory, 'templates');
  await mkdir(ownTemplates);
  for (const [name, text] of Object.entries(templates ?? {})) await writeFile(join(ownTemplates, name), text);
  const port = await freePort();
  const log = join(directory, 'orchestrator.log');
  const environment = {
    PATH: process.env.PATH ?? '',
    HOME: directory,
    DATA_DIR: directory,
    PORT: String(port),
    POOL_BASE_PORT: String(basePort),
    SUPERVISORD: join(VENV, 'bin/supervisord'),
    BOT_PATH: `${join(VENV, 'bin')}:/usr/bin:/bin`,
    TEMPLATE_DIR: templates === undefined ? FIXTURE_TEMPLATES : ownTemplates,
    ...env,
  };
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  let client: Client | null = null;

  function launch(): ChildProcess {
    const launched = spawn(process.execPath, [main], {
      cwd: directory,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const file = createWriteStream(log, { flags: 'a' });
    launched.stdout.pipe(file, { end: false });
    launched.stderr.pipe(file, { end: false });
    return launched;
  }

  const sandbox: Sandbox = {
    directory,
    url,
    get client() {
      if (client === null) throw new Error('the orchestrator does not run');
      return client;
    },

    get pid() {
      if (child?.pid === undefined) throw new Error('the orchestrator does not run');
      return child.pid;
    },

    async start() {
      const launched = launch();
      child = launched;
      await poll('the orchestrator is ready', 60, async () => {
        if (launched.exitCode !== null) throw new Error(`it ended with code ${launched.exitCode}:\n${await tail(log)}`);
        return fetch(`${url}/health`).then(
          (response) => response.ok,
          () => false,
        );
      });
      const token = await readFile(join(directory, 'state/admin-token'), 'utf8');
      client = createClient(url, token.trim());
      return client;
    },

    async run() {
      const launched = launch();
      child = launched;
      let output = '';
      for (const stream of [launched.stdout, launched.stderr]) stream?.on('data', (chunk) => (output += chunk));
      await ended(launched);
      return { code: launched.exitCode, output };
    },

    async stop(signal = 'SIGTERM') {
      if (child === null) return;
      child.kill(signal);
      await ended(child);
      child = null;
      client = null;
    },

    processes: () => processesBelow(directory).filter(({ pid }) => pid !== child?.pid),
    supervisords: () => sandbox.processes().filter(({ argv }) => argv.some((part) => part.endsWith('/supervisord'))),
    processesOf: (bot) => sandbox.processes().filter(({ directory: at }) => at.endsWith(`/bots/${bot}`)),

    async until(what, ask, seconds = 30) {
      try {
        return await poll(what, seconds, ask);
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${await dump(sandbox, log)}`, { cause: error });
      }
    },

    async untilState(bot, state, seconds = 30) {
      return sandbox.until(
        `${bot} is ${state}`,
        async () => {
          const view = await sandbox.client.bot(bot);
          return view.state === state && view;
        },
        seconds,
      );
    },

    async dispose() {
      await sandbox.stop('SIGKILL');
      await killAll(() => sandbox.processes());
      await removeDir(directory);
    },
  };
  return sandbox;
}

/** The request for a bot that runs a program of test/fixtures/bots. */
export async function fixtureBot(
  instanceId: string,
  program: string,
  { template = 'http', args = [] }: { readonly template?: string; readonly args?: readonly string[] } = {},
) {
  return { instanceId, template, args, files: { 'bot.py': await readFile(join(FIXTURE_BOTS, program), 'utf8') } };
}

/** Asks until the answer is neither false nor undefined. Throws after `seconds`, with what the last try threw. */
export async function poll<T>(what: string, seconds: number, ask: () => Promise<T | false | undefined>): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== false && answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(100);
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject()));
    });
  });
}

// Private

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('close', () => resolve()));
}

/** What a person wants to see when a test failed. */
async function dump(sandbox: Sandbox, log: string): Promise<string> {
  const bots = await sandbox.client.bots().catch((error: unknown) => String(error));
  const lines =
    typeof bots === 'string'
      ? bots
      : bots.map(
          ({ instanceId, state, desired, pid, restarts, container, slot, reason, status }) =>
            `${instanceId} ${state} (wants ${desired}) pid ${pid} restarts ${restarts} ${container}/${slot} ${reason} ${status}`,
        );
  const alive = sandbox.processes().map(({ pid, parent, directory }) => `${pid} of ${parent} in ${directory}`);
  return [...lines, ...alive, await tail(log)].join('\n');
}

async function tail(file: string): Promise<string> {
  return existsSync(file) ? (await readFile(file, 'utf8')).slice(-6_000) : '';
}
