import { parseArgs } from 'node:util';
import { wholeNumber } from '../bench/arguments.ts';

export interface SoakOptions {
  readonly minutes: number;
  readonly bots: number;
  readonly driver: 'process' | 'docker';
  /** The same seed asks for the same things in the same order. */
  readonly seed: number;
  readonly settleSeconds: number;
}

export type SoakCommand =
  | { readonly kind: 'run'; readonly json: boolean; readonly options: SoakOptions }
  | { readonly kind: 'help'; readonly problem: string | null };

export const HELP = `npm run soak -- [options]

Starts, stops, restarts and kills real FreqTrade bots at random, and their zygote now and then. Fails when something is
lost for good: a zombie, a descriptor, memory of supervisord or the zygote, the sharing between bots; or when a bot ever
runs twice.

  --minutes N   how long (default 30)
  --bots N      all in one container (default 30)
  --driver D    process or docker (default process)
  --seed N      what happens in which order (default: a random one, which is printed)
  --settle S    seconds of rest before each of the two measurements (default 30)
  --json        one JSON object on stdout, progress on stderr

Needs root and the venv of scripts/test; with docker the image of scripts/build-images as well.
`;

/** Understands a command line. Pure, but for `seed` when none is given. */
export function readSoak(args: readonly string[], seed: () => number): SoakCommand {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS });
    if (values.help) return { kind: 'help', problem: null };
    const { driver } = values;
    if (driver !== 'process' && driver !== 'docker') throw new Error('--driver must be process or docker');
    return {
      kind: 'run',
      json: values.json,
      options: {
        minutes: wholeNumber('minutes', values.minutes, 1, 1440),
        bots: wholeNumber('bots', values.bots, 1, 100),
        driver,
        seed: values.seed === undefined ? seed() : wholeNumber('seed', values.seed, 0, 2 ** 32 - 1),
        settleSeconds: wholeNumber('settle', values.settle, 0),
      },
    };
  } catch (error) {
    return { kind: 'help', problem: (error as Error).message };
  }
}

const OPTIONS = {
  minutes: { type: 'string', default: '30' },
  bots: { type: 'string', default: '30' },
  driver: { type: 'string', default: 'process' },
  seed: { type: 'string' },
  settle: { type: 'string', default: '30' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;
