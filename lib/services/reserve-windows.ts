import { createTask, type ScheduledTask } from 'node-cron';
import type { ReserveWindow } from '../domain/template.ts';

const MINUTE_MS = 60_000;

/** Up to which minute since the epoch a window was looked at, and when it opened last, as far as that still matters. */
interface Look {
  /** The same for good: node-cron keeps all that were ever made. */
  readonly task: ScheduledTask;
  readonly minute: number;
  readonly opened: number | null;
}

/** Which windows are open. Cron knows only whole minutes, so each minute is looked at once. */
export class ReserveWindows {
  readonly #looks = new Map<ReserveWindow, Look>();

  /** The highest target of those open at `now` (ms since the epoch); null: none is. */
  targetAt(windows: readonly ReserveWindow[], now: number): number | null {
    const minute = Math.floor(now / MINUTE_MS);
    const open = windows.filter((window) => this.#isOpen(window, minute)).map(({ target }) => target);
    return open.length === 0 ? null : Math.max(...open);
  }

  // Private

  /** It opened at one of the last `minutes` minutes. */
  #isOpen(window: ReserveWindow, minute: number): boolean {
    const { opened } = this.#look(window, minute);
    return opened !== null && minute - opened < window.minutes;
  }

  /** When the clock was set back, all its minutes are looked at again. */
  #look(window: ReserveWindow, minute: number): Look {
    const before = this.#looks.get(window);
    const task = before?.task ?? createTask(window.cron, () => {});
    const known = before !== undefined && before.minute <= minute ? before : { minute: 0, opened: null };
    let { opened } = known;
    for (let at = Math.max(minute - window.minutes, known.minute) + 1; at <= minute; at++) {
      if (task.match(new Date(at * MINUTE_MS))) opened = at;
    }
    const look = { task, minute, opened };
    this.#looks.set(window, look);
    return look;
  }
}
