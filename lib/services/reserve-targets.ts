import { isWaiting } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import type { LeaseRule, ReserveRule, Template } from '../domain/template.ts';
import type { ReserveTarget } from '../planner/world.ts';
import { backoffMs } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { ReserveWindows } from './reserve-windows.ts';

/** Of templates that do not say. */
export interface ReserveSettings {
  readonly target: number;
  readonly min: number;
  readonly max: number;
  readonly batchSize: number;
  readonly batchSpacingSeconds: number;
}

export interface ReserveTargetsOptions {
  readonly templates: ReadonlyMap<string, Template>;
  readonly settings: ReserveSettings;
  /** The time of day opens windows. */
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  /** In [0, 1). */
  readonly random: () => number;
}

interface Pause {
  /** By the monotonic clock: setting the other makes it neither longer nor shorter. */
  readonly until: number;
  readonly why: string;
}

/** Between two tries to make warm bots of a template whose last ones did not get well. */
const RETRY = { minMs: 10_000, maxMs: 600_000 };

/** Works out what each template's reserve should be now, and remembers what refilling needs to be remembered of. */
export class ReserveTargets {
  readonly #options: ReserveTargetsOptions;
  readonly #windows = new ReserveWindows();
  readonly #refilling = new Map<string, boolean>();
  readonly #pauses = new Map<string, Pause>();
  /** Warm bots in a row that did not get well. */
  readonly #failures = new Map<string, number>();
  #counted: { readonly bots: State['bots']; readonly waiting: ReadonlyMap<string, number> } | null = null;

  constructor(options: ReserveTargetsOptions) {
    this.#options = options;
  }

  /** By template; there is one for each that can be leased. */
  now(state: State): ReadonlyMap<string, ReserveTarget> {
    const leasable = [...this.#options.templates.values()].filter((template) => template.lease !== null);
    if (leasable.length === 0) return new Map();
    const waiting = this.#countWaiting(state);
    return new Map(
      leasable.map(({ name, lease }) => [name, this.#of(name, lease as LeaseRule, waiting.get(name) ?? 0)]),
    );
  }

  /** A batch was made: the next one is due after the spacing. */
  noteBatch(template: string): void {
    const { templates, settings } = this.#options;
    const spacing = templates.get(template)?.lease?.reserve.batchSpacingSeconds ?? settings.batchSpacingSeconds;
    this.#pause(template, spacing * 1000, 'the next batch of warm bots is not due yet');
  }

  /** A warm bot was given up: others are made only after a while, that grows from time to time. */
  noteUnwell(template: string, why: string): void {
    const pause = this.#pauses.get(template);
    const failures = this.#failures.get(template) ?? 0;
    // Those that were made together fail together, which counts once.
    if (failures > 0 && pause !== undefined && pause.until > this.#options.clock.monotonic()) return;
    this.#failures.set(template, failures + 1);
    this.#pause(template, backoffMs(failures + 1, RETRY, this.#options.random()), why);
  }

  noteWell(template: string): void {
    this.#failures.delete(template);
  }

  // Private

  /** The same bots are counted once, however often they are asked about. */
  #countWaiting({ bots }: State): ReadonlyMap<string, number> {
    if (this.#counted?.bots !== bots) this.#counted = { bots, waiting: countWaiting(bots) };
    return this.#counted.waiting;
  }

  #of(name: string, { reserve }: LeaseRule, waiting: number): ReserveTarget {
    const { settings, clock } = this.#options;
    const target = this.#windows.targetAt(reserve.windows, clock.now()) ?? reserve.target ?? settings.target;
    const min = Math.min(reserve.min ?? settings.min, target);
    const pause = this.#pauses.get(name);
    return {
      target,
      min,
      max: settings.max,
      batchSize: batchSize(reserve, settings),
      notBefore: pause?.until ?? 0,
      why: pause?.why ?? '',
      refilling: this.#isRefilling(name, waiting, min, target),
    };
  }

  /** From below the minimum until it is full, so that single acquires do not each make a bot. Begins with filling up. */
  #isRefilling(name: string, waiting: number, min: number, target: number): boolean {
    const before = this.#refilling.get(name) ?? true;
    const now = waiting < target && (before || waiting < min);
    this.#refilling.set(name, now);
    return now;
  }

  #pause(template: string, ms: number, why: string): void {
    const until = this.#options.clock.monotonic() + ms;
    if (until > (this.#pauses.get(template)?.until ?? 0)) this.#pauses.set(template, { until, why });
  }
}

// Private

const batchSize = (rule: ReserveRule, settings: ReserveSettings): number => rule.batchSize ?? settings.batchSize;

/** Bots that are ready or on their way to be, by template. */
function countWaiting(bots: State['bots']): ReadonlyMap<string, number> {
  const waiting = new Map<string, number>();
  for (const bot of bots.records) {
    if (!bot.deleting && isWaiting(bot)) waiting.set(bot.template, (waiting.get(bot.template) ?? 0) + 1);
  }
  return waiting;
}
