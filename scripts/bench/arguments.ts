import { parseArgs } from 'node:util';
import type { BenchOptions } from './bench.ts';
import { TIMEFRAMES, WAYS, type WayKind } from './ways/way.ts';

export const BENCH_NAMES = ['core', 'lease', 'memory', 'proxy', 'starts', 'store'] as const;
export type BenchName = (typeof BENCH_NAMES)[number];

/** What a command line asks for. `problem` is null when help was asked for. */
export type BenchCommand =
  | {
      readonly kind: 'run';
      readonly bench: BenchName;
      readonly json: boolean;
      readonly options: Omit<BenchOptions, 'progress' | 'signal'>;
    }
  | { readonly kind: 'help'; readonly problem: string | null };

const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  bots: { type: 'string', default: '10' },
  settle: { type: 'string', default: '90' },
  timeframe: { type: 'string', default: '5m' },
  ways: { type: 'string', default: 'container,exec,prefork,pm2' },
  'allow-ksm': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

export const HELP = `npm run bench -- NAME [options]

Benchmarks:
  core     what the supervisor itself costs: its memory, and a sweep, with 10 and 1,000 make-believe bots
  lease    milliseconds until a lease of a warm bot is answered, durable, over HTTP: one by one, 500 a second, many at once;
           on the memory and process drivers, in a file and where it is installed in valkey-server or redis-server
  memory   memory of FreqTrade bots while they trade on the paper exchange, and of all that keeps them
  proxy    requests and MiB a second, and milliseconds added, of the built-in proxy beside Caddy's and nginx's, all before the
           same bot; needs caddy and nginx
  starts   seconds until a FreqTrade bot answers, and its CPU seconds until then: after its start and after kill -9,
           one at a time and all at once
  store    milliseconds until a change is durable, of a state with 1,000 bots: one by one, 500 a second, 1,000 at once;
           in a file, and where valkey-server or redis-server is installed in a server that syncs every commit

Options:
  --bots N[,N…]   memory: fleets to measure; starts: how many at once (default 10)
  --ways W[,W…]   ways to keep bots running, of ${WAYS.join(', ')}
                  (default container,exec,prefork,pm2, and merge with --allow-ksm)
  --allow-ksm     memory: measure \`merge\` too. It needs kernel same-page merging, which is switched on for all of this
                  host meanwhile and put back as it was afterwards, also after a failure and Ctrl-C
  --settle S      memory: seconds between the last bot running and the measurement (default 90); \`merge\` then waits until
                  the kernel finds hardly any more to merge, for 10 minutes at the most
  --timeframe T   memory: candles of 1m or 5m (default 5m); it goes on until each bot has fetched the next ones
  --rounds N      starts, core, proxy: rounds of what is timed (default 5)
  --json          one JSON object on stdout, progress on stderr

Ways: \`container\` is docker run --restart always for each bot; \`exec\`, \`prefork\` and \`merge\` are Bunkhouse's Docker driver;
\`process-exec\` and \`process-prefork\` its process driver; \`pm2\` is installed into a temporary folder for the run.
\`memory\` and \`starts\` need root, Docker with the image of scripts/build-images, and the venv of scripts/test.
`;

/** Understands a command line; pure. */
export function readCommand(args: readonly string[]): BenchCommand {
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
    if (values.help) return { kind: 'help', problem: null };
    const allowKsm = values['allow-ksm'];
    const ways = readWays(values.ways);
    const asked = args.some((arg) => arg.startsWith('--ways'));
    if (ways.includes('merge') && !allowKsm) throw new Error('the way merge needs --allow-ksm');
    return {
      kind: 'run',
      bench: readBench(positionals),
      json: values.json,
      options: {
        rounds: wholeNumber('rounds', values.rounds, 1),
        bots: values.bots.split(',').map((text) => wholeNumber('bots', text, 1, 100)),
        settleSeconds: wholeNumber('settle', values.settle, 0),
        timeframe: oneOf('timeframe', TIMEFRAMES, values.timeframe),
        ways: allowKsm && !asked ? [...ways, 'merge'] : ways,
        allowKsm,
      },
    };
  } catch (error) {
    return { kind: 'help', problem: (error as Error).message };
  }
}

/** Throws an error that names the option. */
export function wholeNumber(option: string, text: string, from: number, to = 86_400): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= from && value <= to) return value;
  throw new Error(`--${option} must be a whole number from ${from} to ${to}, not ${JSON.stringify(text)}`);
}

// Private

function readBench(positionals: readonly string[]): BenchName {
  const name = BENCH_NAMES.find((known) => known === positionals[0]);
  if (name === undefined || positionals.length !== 1) throw new Error(`give one of ${BENCH_NAMES.join(', ')}`);
  return name;
}

const readWays = (text: string): readonly WayKind[] => text.split(',').map((word) => oneOf('ways', WAYS, word));

function oneOf<T extends string>(option: string, known: readonly T[], word: string): T {
  const found = known.find((candidate) => candidate === word);
  if (found !== undefined) return found;
  throw new Error(`--${option} knows ${known.join(', ')}, not ${JSON.stringify(word)}`);
}
