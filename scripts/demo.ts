import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { cliSettings, urlOf } from '../lib/config/cli.ts';
import { loadConfig } from '../lib/config/config.ts';
import type { Config } from '../lib/config/settings.ts';
import { messageOf } from '../lib/domain/errors.ts';
import { ensureBots, watchUntilReady } from './lib/demo-bots.ts';
import { openExchange } from './lib/demo-exchange.ts';
import { attachOrServe } from './lib/demo-supervisor.ts';
import { createSteps } from './lib/steps.ts';

/** `scripts/up --demo`: supervisor, paper exchange and FreqTrade bots in one go, until Ctrl-C. */

const READY_SECONDS = 300;

const { values } = parseArgs({ options: { bots: { type: 'string', default: '10' } } });
const steps = createSteps();
const closers: (() => Promise<void>)[] = [];
const stopping = new AbortController();

async function demo(): Promise<void> {
  const env = { STOP_ON_EXIT: 'true', ...process.env };
  const { config } = loadConfig(env);
  const exchange = await openExchange(config.poolBasePort - 100, steps);
  closers.push(() => exchange.close());
  const supervisor = await attachOrServe(config, env, steps);
  closers.push(() => supervisor.close());
  steps.line(`  admin token in ${config.adminTokenFile}`);
  const { signal } = stopping;
  if (signal.aborted) return;
  await ensureBots(supervisor.client, Number(values.bots), exchange.port, steps);
  const ready = await watchUntilReady(supervisor.client, steps, { seconds: READY_SECONDS, signal });
  if (signal.aborted) return;
  steps.line(
    ready ? howToLook(config) : `Not all bots are ready: scripts/bunkhouse logs ID says why.${howToLook(config)}`,
  );
  if (!supervisor.own && !exchange.own) {
    steps.line('It all runs in another terminal already, so there is nothing more to do here.');
    return;
  }
  steps.line(supervisor.own ? HOW_TO_STOP : 'Ctrl-C ends the paper exchange; the supervisor is not ours and goes on.');
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

const HOW_TO_STOP = 'Ctrl-C stops everything. The next run starts the same bots again, with their data.';

function howToLook(config: Config): string {
  const url = urlOf(config);
  const token = config.adminTokenFile;
  const curl = `curl -H "Authorization: Bearer $(cat ${token})" ${url}`;
  const bunkhouse = relative(process.cwd(), `${import.meta.dirname}/bunkhouse`);
  const usual = cliSettings({ HOME: process.env.HOME });
  const where = `${usual.url() === url ? '' : ` --url ${url}`}${usual.tokenFile() === token ? '' : ` --token-file ${token}`}`;
  return `
Look at them:
  ${curl}/api/pool/status
  ${curl}/bots/demo-01/api/v1/status
  ${bunkhouse} top${where}
  ${bunkhouse} logs -f demo-01${where}
`;
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
  await demo();
} catch (error) {
  failed = true;
  steps.line(`✗ ${messageOf(error)}`);
}
await close().catch((error: unknown) => {
  failed = true;
  steps.line(`✗ ${messageOf(error)}`);
});
process.exit(failed ? 1 : 0);
