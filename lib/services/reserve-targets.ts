import { createTask } from 'node-cron';
import type { State } from '../domain/state.ts';
import type { LeaseRule, ReserveWindow, Template } from '../domain/template.ts';
import type { ReserveTarget } from '../planner/world.ts';
import type { Clock } from '../util/clock.ts';

/** Of templates that do not say. */
export interface ReserveSettings {
  readonly target: number;
  readonly min: number;
  readonly max: number;
  readonly batchSize: number;
  readonly batchSpacingSeconds: number;
}

const MINUTE_MS = 60_000;

/** Works out what each template's reserve should be now, and remembers what refilling needs to be remembered of. */
export class ReserveTargets {
  readonly #templates: ReadonlyMap<string, Template>;
  readonly #settings: ReserveSettings;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #refilling = new Map<string, boolean>();
  readonly #nextBatchAt = new Map<string, number>();

  constructor(templates: ReadonlyMap<string, Template>, settings: ReserveSettings, clock: Pick<Clock, 'now'>) {
    this.#templates = templates;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** By template; there is one for each that can be leased. */
  now(state: State): ReadonlyMap<string, ReserveTarget> {
    const leasable = [...this.#templates.values()].filter((template) => template.lease !== null);
    return new Map(leasable.map(({ name, lease }) => [name, this.#of(name, lease as LeaseRule, state)]));
  }

  /** A batch was made: the next one is due after the spacing. */
  noteBatch(template: string): void {
    const spacing = this.#rule(template)?.batchSpacingSeconds ?? this.#settings.batchSpacingSeconds;
    this.#nextBatchAt.set(template, this.#clock.now() + spacing * 1000);
  }

  // Private

  #of(name: string, { reserve }: LeaseRule, state: State): ReserveTarget {
    const settings = this.#settings;
    const usual = reserve.target ?? settings.target;
    const target = openWindow(reserve.windows, this.#clock.now())?.target ?? usual;
    const min = Math.min(reserve.min ?? settings.min, target);
    return {
      target,
      min,
      max: settings.max,
      batchSize: reserve.batchSize ?? settings.batchSize,
      nextBatchAt: this.#nextBatchAt.get(name) ?? 0,
      refilling: this.#isRefilling(name, waiting(state, name), min, target),
    };
  }

  /** From below the minimum until it is full, so that single acquires do not each make a bot. Begins with filling up. */
  #isRefilling(name: string, count: number, min: number, target: number): boolean {
    const before = this.#refilling.get(name) ?? true;
    const now = count < target && (before || count < min);
    this.#refilling.set(name, now);
    return now;
  }

  #rule(template: string): LeaseRule['reserve'] | undefined {
    return this.#templates.get(template)?.lease?.reserve;
  }
}

/** The window that is open now; of several the one with the highest target. */
export function openWindow(windows: readonly ReserveWindow[], now: number): ReserveWindow | undefined {
  return windows.filter((window) => isOpen(window, now)).sort((a, b) => b.target - a.target)[0];
}

// Private

/** It opened at one of the last `minutes` minutes. */
function isOpen({ cron, minutes }: ReserveWindow, now: number): boolean {
  const task = createTask(cron, () => {});
  const thisMinute = Math.floor(now / MINUTE_MS) * MINUTE_MS;
  for (let ago = 0; ago < minutes; ago++) if (task.match(new Date(thisMinute - ago * MINUTE_MS))) return true;
  return false;
}

function waiting(state: State, template: string): number {
  return Object.values(state.bots).filter(
    (bot) => bot.template === template && bot.reserve !== null && bot.reserve.phase !== 'assigned' && !bot.deleting,
  ).length;
}
