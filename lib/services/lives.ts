import { type BotRecord, wantsProcess } from '../domain/bot.ts';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { SingleFlight } from '../util/single-flight.ts';
import type { Reconciler } from './reconciler.ts';
import type { TrackedState } from './state-tracker.ts';

/** Who listens on the bots' ports, asked of their containers when somebody has connected there. */
export class Lives {
  readonly #reconciler: Reconciler;
  readonly #asking = new Map<string, SingleFlight>();

  constructor(reconciler: Reconciler) {
    this.#reconciler = reconciler;
  }

  /** Throws BOT_UNAVAILABLE unless that life of the bot alone listens on its port. Callers at the same time share an answer. */
  async prove({ instanceId, placement }: BotRecord, life: string): Promise<void> {
    const key = `${instanceId} ${life}`;
    const asking =
      this.#asking.get(key) ?? new SingleFlight(() => this.#ask(instanceId, placement?.container ?? '', life));
    this.#asking.set(key, asking);
    try {
      await asking.run();
    } finally {
      if (!asking.active) this.#asking.delete(key);
    }
  }

  /** True when it runs; false when it is not on its way to, or the signal aborts first. */
  async untilRunning(find: () => BotRecord | undefined, signal: AbortSignal): Promise<boolean> {
    const done = new AbortController();
    const look = (): boolean | null => {
      const bot = find();
      const state = bot && (this.#reconciler.states.get(bot.instanceId)?.state ?? 'pending');
      if (bot === undefined || !isOnItsWay(bot) || state === 'failed') return false;
      return state === 'running' ? true : null;
    };
    let outcome = look();
    if (outcome !== null) return outcome;
    const stop = this.#reconciler.onPicture(() => {
      outcome = look();
      if (outcome !== null) done.abort();
    });
    await aborted(AbortSignal.any([signal, done.signal]));
    stop();
    return outcome === true;
  }

  async #ask(bot: string, container: string, life: string): Promise<void> {
    const seen = await this.#reconciler.agents
      .get(container)
      .then((agent) => agent.listener(bot))
      .catch((error: unknown) => {
        throw unproven(bot, messageOf(error));
      });
    if (lifeOf(container, seen) !== life) throw unproven(bot, 'it was started anew');
    if (seen.listener !== 'self')
      throw unproven(bot, seen.listener === 'none' ? 'nobody listens there' : 'somebody else does');
  }
}

/** Tells one process of a bot from the next; empty when there is none. */
export function lifeOf(
  container: string,
  seen: Pick<NonNullable<TrackedState['observed']>, 'pid' | 'startedAt'> | null,
): string {
  return seen === null || seen.pid === null ? '' : `${container} ${seen.pid} ${seen.startedAt}`;
}

// Private

/** Also while it is held stopped because it moves. */
const isOnItsWay = (bot: BotRecord): boolean => wantsProcess({ ...bot, move: null });

function unproven(bot: string, why: string): BunkhouseError {
  const message = `${bot} cannot be proven to be who listens on its port: ${why}. Try again soon.`;
  return new BunkhouseError('BOT_UNAVAILABLE', message, { retryAfterSeconds: 2 });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
