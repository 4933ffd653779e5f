import { setFlagsFromString } from 'node:v8';
import type { Clock } from './clock.ts';

/** How busy this process was since the last call, from 0 to 1. */
export type Utilization = () => number;

const LOOK_MS = 1000;
/** Above it there is something to do. */
const BUSY = 0.1;
/** Looks without much to do after which it counts as at rest. */
const CALM_LOOKS = 5;

export function ownUtilization(): Utilization {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/**
 * Has V8 favour speed while there is something to do, and memory at rest. With the first alone, the garbage of a burst of
 * requests stays for ever: 80 MiB with 1,000 bots. With the second alone, all that is hot takes twice as long.
 */
export function fitHeapToWork(
  clock: Pick<Clock, 'after'>,
  utilization: Utilization,
  setFlag: (flag: string) => void = setFlagsFromString,
): void {
  // What is compiled stays so over a rest: it is small, and whoever comes first would wait for it.
  setFlag('--no-flush-bytecode');
  const look = (calm: number): void => {
    clock.after(LOOK_MS, () => {
      const isBusy = utilization() > BUSY;
      const now = isBusy ? 0 : calm + 1;
      if (isBusy && calm >= CALM_LOOKS) setFlag('--no-optimize-for-size');
      if (now === CALM_LOOKS) setFlag('--optimize-for-size');
      look(now);
    });
  };
  look(0);
}
