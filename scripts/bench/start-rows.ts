import type { Answer } from './answering.ts';
import type { Row } from './bench.ts';
import { median } from './figures.ts';
import type { WayKind } from './ways/way.ts';

/** What is timed in each round: one bot alone, and many at once. */
export interface Round {
  readonly startAlone: readonly Answer[];
  readonly killAlone: readonly Answer[];
  readonly startMany: readonly Answer[];
  readonly killMany: readonly Answer[];
}

export interface Timings {
  readonly kind: WayKind;
  readonly name: string;
  readonly note: string;
  readonly rounds: readonly Round[];
}

/** Ways that each is compared with, where they were timed in the same run. */
const REFERENCES: Readonly<Record<WayKind, readonly WayKind[]>> = {
  container: [],
  pm2: ['container'],
  exec: ['container'],
  prefork: ['exec', 'container', 'pm2'],
  merge: ['exec', 'container', 'pm2'],
  'process-exec': ['pm2'],
  'process-prefork': ['process-exec', 'pm2'],
};

/** Figures of each way and their ratios. Pure. */
export function startRows(many: number, timings: readonly Timings[]): Row[] {
  return figures(many).flatMap(({ name, when, of }) => {
    const value = ({ rounds }: Timings): number => median(rounds.map((round) => of(round[when])));
    const rows = timings.map(
      (timing): Row => ({
        name: `${name}, ${timing.name}`,
        value: value(timing),
        unit: 's',
        note: `median of ${timing.rounds.length} rounds; ${timing.note}`,
      }),
    );
    const ratios = timings.flatMap((timing) =>
      timings
        .filter(({ kind }) => REFERENCES[timing.kind].includes(kind))
        .map(
          (reference): Row => ({
            name: `${name}, ${timing.name} / ${reference.name}`,
            value: value(timing) / value(reference),
            unit: 'x',
            note: 'below 1 is sooner, or less',
          }),
        ),
    );
    return [...rows, ...ratios];
  });
}

// Private

interface Figure {
  readonly name: string;
  readonly when: keyof Round;
  /** Of one round. */
  readonly of: (answers: readonly Answer[]) => number;
}

const seconds = (answers: readonly Answer[]): number => median(answers.map((answer) => answer.seconds));
const ownerSeconds = (answers: readonly Answer[]): number => median(answers.map((answer) => answer.ownerSeconds));
const cpu = (answers: readonly Answer[]): number => median(answers.map((answer) => answer.cpuSeconds));
const last = (answers: readonly Answer[]): number => Math.max(...answers.map((answer) => answer.seconds));

const figures = (many: number): readonly Figure[] => [
  { name: 'start to answering', when: 'startAlone', of: seconds },
  { name: 'kill -9 to answering', when: 'killAlone', of: seconds },
  { name: 'start to answering its owner', when: 'startAlone', of: ownerSeconds },
  { name: 'kill -9 to answering its owner', when: 'killAlone', of: ownerSeconds },
  { name: 'CPU of a start', when: 'startAlone', of: cpu },
  { name: 'CPU of a restart', when: 'killAlone', of: cpu },
  { name: `start of ${many} at once, each`, when: 'startMany', of: seconds },
  { name: `start of ${many} at once, the last`, when: 'startMany', of: last },
  { name: `kill -9 of ${many} at once, each`, when: 'killMany', of: seconds },
  { name: `kill -9 of ${many} at once, the last`, when: 'killMany', of: last },
  { name: `CPU of a start, ${many} at once`, when: 'startMany', of: cpu },
  { name: `CPU of a restart, ${many} at once`, when: 'killMany', of: cpu },
];
