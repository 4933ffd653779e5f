import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { cliSettings, urlOf } from '../lib/config/cli.ts';
import { loadConfig } from '../lib/config/config.ts';
import type { Config } from '../lib/config/settings.ts';
import { messageOf } from '../lib/domain/errors.ts';
import { DEMOS, type Demo } from './lib/demo.ts';
import { attachOrServe } from './lib/demo-supervisor.ts';
import { createSteps } from './lib/steps.ts';

/** `scripts/up --demo`: the supervisor, bots, and what they need, in one go, until Ctrl-C. */

const READY_SECONDS = 300;

const { values } = parseArgs({
  options: { bots: { type: 'string', default: '10' }, of: { type: 'string', default: 'freqtrade' } },
});
const steps = createSteps();
const closers: (() => Promise<void>)[] = [];
const stopping = new AbortController();

async function run(demo: Demo, count: number): Promise<void> {
  const env = { STOP_ON_EXIT: 'true', ...demo.settings(count), ...process.env };
  const { config } = loadConfig(env);
  const helper = await demo.prepare(config, steps);
  closers.push(() => helper.close());
  const supervisor = await attachOrServe(config, env, steps);
  closers.push(() => supervisor.close());
  steps.line(`  admin token in ${config.adminTokenFile}`);
  const { signal } = stopping;
  if (signal.aborted) return;
  const ready = await demo.fill(supervisor.client, config, { count, seconds: READY_SECONDS, signal, steps });
  if (signal.aborted) return;
  const look = howToLook(config, demo);
  steps.line(ready ? look : `Not all bots are ready: scripts/bunkhouse logs ID says why.${look}`);
  if (!supervisor.own && !helper.own) {
    steps.line('It all runs in another terminal already, so there is nothing more to do here.');
    return;
  }
  steps.line(supervisor.own ? HOW_TO_STOP : 'Ctrl-C ends the paper exchange; the supervisor is not ours and goes on.');
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

const HOW_TO_STOP = 'Ctrl-C stops everything. The next run starts the same bots again, with their data.';

function howToLook(config: Config, demo: Demo): string {
  const url = urlOf(config);
  const token = config.adminTokenFile;
  const usual = cliSettings({ HOME: process.env.HOME });
  const where = `${usual.url() === url ? '' : ` --url ${url}`}${usual.tokenFile() === token ? '' : ` --token-file ${token}`}`;
  const commands = demo.look({
    curl: `curl -H "Authorization: Bearer $(cat ${token})" ${url}`,
    bunkhouse: relative(process.cwd(), `${import.meta.dirname}/bunkhouse`),
    where,
  });
  return `\nLook at them:\n${commands.map((command) => `  ${command}\n`).join('')}`;
}

/** Ends what this process started, the last first. */
async function close(): Promise<void> {
  for (const closer of closers.reverse().splice(0)) await closer();
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
    steps.line('Stopping. Once more ends at once: the bots then run on, and the next run finds them.');
  });
}

let failed = false;
try {
  const demo = DEMOS[values.of];
  if (demo === undefined) throw new Error(`There is no demo ${values.of}; there are ${Object.keys(DEMOS).join(', ')}.`);
  await run(demo, Number(values.bots));
} catch (error) {
  failed = true;
  steps.line(`✗ ${messageOf(error)}`);
}
await close().catch((error: unknown) => {
  failed = true;
  steps.line(`✗ ${messageOf(error)}`);
});
process.exit(failed ? 1 : 0);
