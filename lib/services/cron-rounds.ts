import { createTask } from 'node-cron';

const MINUTE_MS = 60_000;
/** A round that began longer ago, while no supervisor ran, is not made good. */
const LOOK_BACK_MINUTES = 8 * 24 * 60;

interface Looked {
  readonly minute: number;
  readonly round: number | null;
}

/** When cron expressions last came true. Cron knows only whole minutes, so each is looked at once: those of the last days at the first look. */
export class CronRounds {
  readonly #looked = new Map<string, Looked>();

  /** Ms since the epoch; null: not within the last days. */
  last(expression: string, now: number): number | null {
    const minute = Math.floor(now / MINUTE_MS);
    const before = this.#looked.get(expression) ?? { minute: minute - LOOK_BACK_MINUTES, round: null };
    const round = lastMatch(expression, before.minute, minute) ?? before.round;
    this.#looked.set(expression, { minute, round });
    return round;
  }
}

/** After `from`, up to `to`; both minutes since the epoch. */
function lastMatch(expression: string, from: number, to: number): number | null {
  if (to <= from) return null;
  const task = createTask(expression, () => {});
  for (let minute = to; minute > from; minute--) {
    if (task.match(new Date(minute * MINUTE_MS))) return minute * MINUTE_MS;
  }
  return null;
}
