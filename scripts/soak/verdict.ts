import { median } from '../bench/figures.ts';
import type { KeeperFigures, Snapshot } from './snapshot.ts';

/** How much may have grown between the two measurements before it counts as lost. */
export const BOUNDS = {
  supervisordFiles: 4,
  zygoteFiles: 2,
  /** Of RSS, of supervisord and of the zygote each. */
  keeperMiB: 10,
  /** Of supervisord's RSS from the second quarter of the time to the last: by then a heap has found its size. */
  driftMiB: 2,
  /** Of private memory per bot, times what it was; and never more than this in all. */
  privateGrowth: 1.5,
  privateMiB: 80,
} as const;

/** Everything that was lost between the two, a sentence each. Pure. */
export function problemsOf(bots: number, start: Snapshot, end: Snapshot): readonly string[] {
  const problems = [
    end.zombies > 0 && `${end.zombies} zombies stay`,
    end.processes > start.processes && `processes grew from ${start.processes} to ${end.processes}`,
    end.bots < bots && `only ${end.bots} of ${bots} bots live below supervisord at the end`,
    start.forkedBots < bots && `only ${start.forkedBots} of ${bots} bots were forked at the start`,
    end.forkedBots < bots && `only ${end.forkedBots} of ${bots} bots were forked at the end`,
    ...keeperProblems('supervisord', start.supervisord, end.supervisord, BOUNDS.supervisordFiles),
    ...zygoteProblems(start.zygote, end.zygote),
    ...sharingProblems(start.privatePerBotMiB, end.privatePerBotMiB),
  ];
  return problems.filter((problem) => problem !== false);
}

/** By how much supervisord's memory, taken once a minute, was larger in the last quarter than in the second; null: too few. Pure. */
export function driftOf(rssMiB: readonly number[]): number | null {
  const quarter = Math.floor(rssMiB.length / 4);
  if (quarter < FEWEST) return null;
  return median(rssMiB.slice(-quarter)) - median(rssMiB.slice(quarter, 2 * quarter));
}

/** Whether supervisord was still growing at the end. Pure. */
export function driftProblems(rssMiB: readonly number[]): readonly string[] {
  const drift = driftOf(rssMiB) ?? 0;
  return drift > BOUNDS.driftMiB ? [`memory of supervisord goes on growing: by ${mib(drift)} in half of the time`] : [];
}

// Private

/** Minutes in a quarter. */
const FEWEST = 3;

type Problem = string | false;

function keeperProblems(name: string, start: KeeperFigures, end: KeeperFigures, files: number): readonly Problem[] {
  return [
    end.openFiles > start.openFiles + files &&
      `open descriptors of ${name} grew from ${start.openFiles} to ${end.openFiles}, more than by ${files}`,
    end.rssMiB > start.rssMiB + BOUNDS.keeperMiB &&
      `memory of ${name} grew from ${mib(start.rssMiB)} to ${mib(end.rssMiB)}, more than by ${BOUNDS.keeperMiB} MiB`,
  ];
}

function zygoteProblems(start: KeeperFigures | null, end: KeeperFigures | null): readonly Problem[] {
  if (start === null || end === null) return [`there is no zygote at the ${start === null ? 'start' : 'end'}`];
  return keeperProblems('the zygote', start, end, BOUNDS.zygoteFiles);
}

function sharingProblems(start: number, end: number): readonly Problem[] {
  const bound = Math.min(start * BOUNDS.privateGrowth, BOUNDS.privateMiB);
  return [
    end > bound && `bots share less: private per bot went from ${mib(start)} to ${mib(end)}, above ${mib(bound)}`,
  ];
}

const mib = (value: number): string => `${value.toFixed(1)} MiB`;
