/** Benchmarks: figures as ratios within one run against what a user would use instead. `npm run bench -- NAME [--json]`. */
import { parseArgs } from 'node:util';
import { runCore } from './bench/core.ts';

/** One figure. `unit` is s, ms, MiB or x (a ratio); `note` says how it was measured. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: 's' | 'ms' | 'MiB' | 'x';
  readonly note: string;
}

export interface BenchOptions {
  readonly rounds: number;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
}

const BENCHES: Readonly<Record<string, (options: BenchOptions) => Promise<readonly Row[]>>> = { core: runCore };

const HELP = `npm run bench -- NAME [--rounds N] [--json]

Benchmarks: ${Object.keys(BENCHES).join(', ')}
  core   time from POST /api/bots to answering beside docker run; memory of the supervisor and a sweep with 10 and 1,000 bots

  --rounds N   rounds of what is timed (default 5)
  --json       one JSON object on stdout, progress on stderr
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [name = ''] = positionals;
const bench = BENCHES[name];
const rounds = Number(values.rounds);
if (values.help || bench === undefined || !Number.isInteger(rounds) || rounds < 1) {
  console.error(HELP);
  process.exit(values.help ? 0 : 2);
}
const rows = await bench({ rounds, progress: (line) => console.error(line) });
if (values.json) console.log(JSON.stringify({ bench: name, rounds, rows }, null, 2));
else
  for (const row of rows)
    console.log(`${row.name.padEnd(58)} ${row.value.toFixed(2).padStart(9)} ${row.unit.padEnd(4)} ${row.note}`);
