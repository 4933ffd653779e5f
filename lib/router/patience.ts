import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { hasCode } from '../domain/errors.ts';
import type { PoolApi } from '../services/pool-api.ts';
import type { Clock } from '../util/clock.ts';
import { HungUp, isRepeatable } from './proxy.ts';

/** How long a request waits for a bot that is being restarted. */
const PATIENCE_MS = 10_000;
/** The same for one that is being moved: it is stopped, carried and started anew, maybe the first of its container. */
const MOVING_MS = 30_000;
/** Between two tries at a bot that is thought to run: what became of it will be known by then. */
const PAUSE_MS = 50;
/** How often a bot that had a request and hung up is given it again: one that it ends of must not end it over and over. */
const MOST_HUNG_UP = 2;
/** Requests that wait at a time; beyond that they are told to come again. */
const MOST_WAITING = 1_000;

/** Who waits: for an answer, or for a WebSocket. */
type Caller = ServerResponse | Duplex;

export interface Patience {
  /** Repeats an attempt that fails with BOT_UNAVAILABLE until the bot is back, if the request may be repeated and the caller stays. */
  attempt(req: IncomingMessage, caller: Caller, bot: string, work: () => Promise<void>): Promise<void>;
}

/** Callers hardly notice that a bot was started anew. */
export function createPatience(
  { untilRouted, isMoving }: Pick<PoolApi, 'untilRouted' | 'isMoving'>,
  clock: Clock,
): Patience {
  let waiting = 0;

  async function returns(bot: string, caller: Caller, deadline: number): Promise<boolean> {
    const gone = new AbortController();
    const cancel = clock.after(deadline - clock.monotonic(), () => gone.abort());
    const leave = (): void => gone.abort();
    caller.once('close', leave);
    waiting += 1;
    try {
      if (!(await untilRouted(bot, gone.signal))) return false;
      await clock.sleep(PAUSE_MS, gone.signal);
      return !gone.signal.aborted;
    } finally {
      waiting -= 1;
      cancel();
      caller.removeListener('close', leave);
    }
  }

  return {
    async attempt(req, caller, bot, work) {
      const began = clock.monotonic();
      let patience = PATIENCE_MS;
      let hungUp = 0;
      for (;;) {
        try {
          return await work();
        } catch (error) {
          hungUp += Number(isHungUp(error));
          const again = hungUp <= MOST_HUNG_UP && waiting < MOST_WAITING && isAway(error) && canRepeat(req, caller);
          if (isMoving(bot)) patience = MOVING_MS;
          if (!again || !(await returns(bot, caller, began + patience))) throw error;
        }
      }
    },
  };
}

// Private

const isAway = (error: unknown): boolean => hasCode(error, 'BOT_UNAVAILABLE');

const isHungUp = (error: unknown): boolean => error instanceof Error && error.cause instanceof HungUp;

const canRepeat = (req: IncomingMessage, caller: Caller): boolean =>
  isRepeatable(req) && !('headersSent' in caller && caller.headersSent);
