/** Benchmarks: figures as ratios within one run against what a user would use instead. `npm run bench -- --help`. */
import { type BenchName, HELP, readCommand } from './bench/arguments.ts';
import type { BenchOptions, Row } from './bench/bench.ts';
import { runCore } from './bench/core.ts';
import { runMemory } from './bench/memory.ts';
import { runStarts } from './bench/starts.ts';

const BENCHES: Readonly<Record<BenchName, (options: BenchOptions) => Promise<readonly Row[]>>> = {
  core: runCore,
  memory: runMemory,
  starts: runStarts,
};

const command = readCommand(process.argv.slice(2));
if (command.kind === 'help') {
  console.error(command.problem === null ? HELP : `${command.problem}\n\n${HELP}`);
  process.exit(command.problem === null ? 0 : 2);
}

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    console.error('cleaning up …');
    stopping.abort(new Error(`ended by ${name}`));
  });
}

const { bench, json, options } = command;
try {
  const progress = (line: string): void => console.error(line);
  const rows = await BENCHES[bench]({ ...options, progress, signal: stopping.signal });
  if (json) console.log(JSON.stringify({ bench, ...options, rows }, null, 2));
  else console.log(textOf(rows));
} catch (error) {
  console.error(stopping.signal.aborted ? 'ended before it was done' : error);
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}

function textOf(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  return rows
    .map(
      ({ name, value, unit, note }) =>
        `${name.padEnd(width)} ${value.toFixed(2).padStart(9)} ${unit.padEnd(4)} ${note}`,
    )
    .join('\n');
}
