import { createTask } from 'node-cron';
import type { ReserveWindow } from '../domain/template.ts';

const MINUTE_MS = 60_000;

type Windows = readonly ReserveWindow[];

/** Which windows are open. Cron knows only whole minutes, so each minute is looked at once. */
export class ReserveWindows {
  readonly #known = new Map<Windows, { readonly minute: number; readonly target: number | null }>();

  /** The highest target of those open at `now` (ms since the epoch); null: none is. */
  targetAt(windows: Windows, now: number): number | null {
    const minute = Math.floor(now / MINUTE_MS);
    const known = this.#known.get(windows);
    if (known?.minute === minute) return known.target;
    const open = windows.filter((window) => isOpen(window, now)).map(({ target }) => target);
    const target = open.length === 0 ? null : Math.max(...open);
    this.#known.set(windows, { minute, target });
    return target;
  }
}

/** It opened at one of the last `minutes` minutes. */
export function isOpen({ cron, minutes }: ReserveWindow, now: number): boolean {
  const task = createTask(cron, () => {});
  const thisMinute = Math.floor(now / MINUTE_MS) * MINUTE_MS;
  for (let ago = 0; ago < minutes; ago++) if (task.match(new Date(thisMinute - ago * MINUTE_MS))) return true;
  return false;
}
