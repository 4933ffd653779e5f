/** Benchmarks: figures as ratios within one run against what a user would use instead. `npm run bench -- --help`. */
import { type BenchName, HELP, readCommand } from './bench/arguments.ts';
import type { BenchOptions, Row } from './bench/bench.ts';
import { runCore } from './bench/core.ts';
import { runLease } from './bench/lease.ts';
import { runMemory } from './bench/memory.ts';
import { runProxy } from './bench/proxy.ts';
import { runStarts } from './bench/starts.ts';
import { runStore } from './bench/store.ts';
import { runInterruptibly } from './lib/interruptible.ts';

const BENCHES: Readonly<Record<BenchName, (options: BenchOptions) => Promise<readonly Row[]>>> = {
  core: runCore,
  lease: runLease,
  memory: runMemory,
  proxy: runProxy,
  starts: runStarts,
  store: runStore,
};

const command = readCommand(process.argv.slice(2));
if (command.kind === 'help') {
  console.error(command.problem === null ? HELP : `${command.problem}\n\n${HELP}`);
  process.exit(command.problem === null ? 0 : 2);
}

const { bench, json, options } = command;
await runInterruptibly(async (signal) => {
  const rows = await BENCHES[bench]({ ...options, progress: (line) => console.error(line), signal });
  console.log(json ? JSON.stringify({ bench, ...options, rows }, null, 2) : textOf(rows));
  return 0;
});

function textOf(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  return rows
    .map(
      ({ name, value, unit, note }) =>
        `${name.padEnd(width)} ${value.toFixed(2).padStart(9)} ${unit.padEnd(5)} ${note}`,
    )
    .join('\n');
}
