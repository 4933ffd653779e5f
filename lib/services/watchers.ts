import { messageOf } from '../domain/errors.ts';
import { backoffMs } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import type { Agents } from './agents.ts';

const WAIT_SECONDS = 50;
const RETRY = { minMs: 200, maxMs: 10_000 };

/** Where a long poll goes on. */
interface Position {
  readonly cursor: number;
  readonly incarnation: string;
}

export interface Watchers {
  /** Watches exactly these containers from now on. */
  sync(containers: ReadonlySet<string>): void;
  close(): Promise<void>;
}

/**
 * Holds one long poll per container open and says when something changed inside. It only says "look"; what is so is
 * found out by observing, which comes after, so nothing can fall between.
 */
export function createWatchers(
  agents: Agents,
  clock: Clock,
  random: () => number,
  log: Logger,
  onChange: (container: string) => void,
): Watchers {
  const loops = new Map<string, { readonly abort: AbortController; readonly done: Promise<void> }>();

  const waitOnce = async (container: string, position: Position, signal: AbortSignal): Promise<Position> => {
    const agent = await agents.get(container);
    const result = await agent.wait(position.cursor, WAIT_SECONDS, signal);
    if (result.changed.length > 0 || result.incarnation !== position.incarnation) onChange(container);
    return result;
  };

  const follow = async (container: string, signal: AbortSignal): Promise<void> => {
    let position: Position = { cursor: 0, incarnation: '' };
    let failures = 0;
    while (!signal.aborted) {
      try {
        position = await waitOnce(container, position, signal);
        failures = 0;
      } catch (error) {
        failures += 1;
        log.debug({ container, reason: messageOf(error) }, 'waiting for changes failed');
        if (failures === 1 && !signal.aborted) onChange(container);
        await clock.sleep(backoffMs(failures, RETRY, random()), signal);
      }
    }
  };

  const stop = (container: string): Promise<void> => {
    const loop = loops.get(container);
    loops.delete(container);
    loop?.abort.abort();
    return loop?.done ?? Promise.resolve();
  };

  return {
    sync(containers) {
      for (const name of loops.keys()) if (!containers.has(name)) void stop(name);
      for (const name of containers) {
        if (loops.has(name)) continue;
        const abort = new AbortController();
        loops.set(name, { abort, done: follow(name, abort.signal) });
      }
    },
    async close() {
      await Promise.all([...loops.keys()].map(stop));
    },
  };
}
