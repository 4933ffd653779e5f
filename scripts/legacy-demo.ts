import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../lib/domain/errors.ts';
import { startPaperExchange } from '../test/fixtures/exchange/server.ts';
import { type Plan, startLegacyFleet } from '../test/fixtures/legacy/fleet.ts';
import { bridgeGateway } from '../test/support/docker-harness.ts';
import { makeTempDir, removeDir } from '../test/support/temp-dir.ts';
import { openEngine } from './lib/engine.ts';
import { createSteps } from './lib/steps.ts';

/**
 * `npm run demo:legacy`: FreqTrade bots on a paper exchange as the old deployments had them, a container each, to try
 * `bunkhouse migrate` on. Until Ctrl-C, which removes them, wherever they are by then.
 */

const BOTS: readonly Plan[] = [
  ['Alice', 'Alice.Main', 'running'],
  ['Alice', 'alice.grid', 'running'],
  ['bob', 'bob.idle', 'stopped'],
  ['bob', 'bob.lost', 'no-strategy'],
];

const steps = createSteps();
const closers: (() => Promise<void>)[] = [];
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());

try {
  const engine = await openEngine(process.env);
  const exchange = await startPaperExchange({ host: await bridgeGateway(engine), port: 0 });
  closers.push(() => exchange.close());
  steps.line(`✓ paper exchange at ${exchange.url}`);
  const base = await makeTempDir();
  closers.push(() => removeDir(base));
  const fleet = await steps.run(`${BOTS.length} bots in containers of their own, their files in ${base}`, () =>
    startLegacyFleet(engine, { base, plans: BOTS, exchangeUrl: exchange.url }),
  );
  closers.push(() => fleet.dispose());
  for (const { container, port, fate } of fleet.members) steps.line(`  ${container}  port ${port}  ${fate}`);
  steps.line('\nBring them into the pool, in another terminal: scripts/bunkhouse migrate');
  steps.line('Ctrl-C ends the exchange and removes what is left of the old containers and all their files.');
  while (!stopping.signal.aborted) await sleep(3_600_000, undefined, { signal: stopping.signal }).catch(() => {});
} catch (error) {
  steps.line(`✗ ${messageOf(error)}`);
  process.exitCode = 1;
}
for (const close of closers.reverse()) await close();
