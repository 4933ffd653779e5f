import { closedContainers } from '../domain/container.ts';
import { isStale, isWaiting, type ReservePlace, reserveKey } from '../domain/lease.ts';
import type { Locations } from '../domain/location.ts';
import type { State } from '../domain/state.ts';
import type { LeaseRule, ReserveRule, Template } from '../domain/template.ts';
import type { ReserveTarget } from '../planner/world.ts';
import { backoffMs } from '../util/backoff.ts';
import type { Clock } from '../util/clock.ts';
import { ReserveWindows } from './reserve-windows.ts';

/** Of templates that do not say. */
export interface ReserveSettings {
  readonly target: number;
  /** Where it is another number. */
  readonly locationTargets: ReadonlyMap<string, number>;
  readonly min: number;
  readonly max: number;
  readonly batchSize: number;
  readonly batchSpacingSeconds: number;
}

export interface ReserveTargetsOptions {
  readonly templates: ReadonlyMap<string, Template>;
  readonly settings: ReserveSettings;
  readonly locations: Pick<Locations, 'all'>;
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

/** Works out what the reserve of each template in each location should be now, and remembers what refilling needs to be remembered of. */
export class ReserveTargets {
  readonly #options: ReserveTargetsOptions;
  readonly #windows = new ReserveWindows();
  readonly #refilling = new Map<string, boolean>();
  readonly #pauses = new Map<string, Pause>();
  /** Warm bots in a row that did not get well. */
  readonly #failures = new Map<string, number>();
  #counted: (Pick<State, 'bots' | 'containers'> & { readonly waiting: ReadonlyMap<string, number> }) | null = null;

  constructor(options: ReserveTargetsOptions) {
    this.#options = options;
  }

  /** By reserveKey; there is one for each template that can be leased, in each location. */
  now(state: State): ReadonlyMap<string, ReserveTarget> {
    const leasable = [...this.#options.templates.values()].filter((template) => template.lease !== null);
    if (leasable.length === 0) return new Map();
    const waiting = this.#countWaiting(state);
    const { all } = this.#options.locations;
    const targets = leasable.flatMap(({ name: template, lease }) =>
      all.map((location) => this.#of({ template, location }, lease as LeaseRule, waiting)),
    );
    return new Map(targets.map((target) => [reserveKey(target), target]));
  }

  /** A batch was made: the next one is due after the spacing. */
  noteBatch(place: ReservePlace): void {
    const { templates, settings } = this.#options;
    const spacing = templates.get(place.template)?.lease?.reserve.batchSpacingSeconds ?? settings.batchSpacingSeconds;
    this.#pause(reserveKey(place), spacing * 1000, 'the next batch of warm bots is not due yet');
  }

  /** A warm bot was given up: others are made only after a while, that grows from time to time. */
  noteUnwell(place: ReservePlace, why: string): void {
    const key = reserveKey(place);
    const pause = this.#pauses.get(key);
    const failures = this.#failures.get(key) ?? 0;
    // Those that were made together fail together, which counts once.
    if (failures > 0 && pause !== undefined && pause.until > this.#options.clock.monotonic()) return;
    this.#failures.set(key, failures + 1);
    this.#pause(key, backoffMs(failures + 1, RETRY, this.#options.random()), why);
  }

  noteWell(place: ReservePlace): void {
    this.#failures.delete(reserveKey(place));
  }

  // Private

  /** The same bots are counted once, however often they are asked about. */
  #countWaiting({ bots, containers }: State): ReadonlyMap<string, number> {
    const known = this.#counted;
    if (known?.bots === bots && known.containers === containers) return known.waiting;
    const waiting = countWaiting({ bots, containers });
    this.#counted = { bots, containers, waiting };
    return waiting;
  }

  #of(place: ReservePlace, { reserve }: LeaseRule, waiting: ReadonlyMap<string, number>): ReserveTarget {
    const { settings, clock } = this.#options;
    const key = reserveKey(place);
    const usual = usualTarget(place.location, reserve, settings);
    const target = usual.none ? 0 : (this.#windows.targetAt(reserve.windows, clock.now()) ?? usual.target);
    const min = Math.min(reserve.min ?? settings.min, target);
    const pause = this.#pauses.get(key);
    return {
      ...place,
      target,
      min,
      max: settings.max,
      batchSize: batchSize(reserve, settings),
      notBefore: pause?.until ?? 0,
      why: pause?.why ?? '',
      refilling: this.#isRefilling(key, waiting.get(key) ?? 0, min, target),
    };
  }

  /** From below the minimum until it is full, so that single acquires do not each make a bot. Begins with filling up. */
  #isRefilling(key: string, waiting: number, min: number, target: number): boolean {
    const before = this.#refilling.get(key) ?? true;
    const now = waiting < target && (before || waiting < min);
    this.#refilling.set(key, now);
    return now;
  }

  #pause(key: string, ms: number, why: string): void {
    const until = this.#options.clock.monotonic() + ms;
    if (until > (this.#pauses.get(key)?.until ?? 0)) this.#pauses.set(key, { until, why });
  }
}

// Private

const batchSize = (rule: ReserveRule, settings: ReserveSettings): number => rule.batchSize ?? settings.batchSize;

/** A location of which somebody says that it keeps nothing warm keeps nothing warm at any time. */
function usualTarget(
  location: string,
  rule: ReserveRule,
  settings: ReserveSettings,
): { readonly target: number; readonly none: boolean } {
  const own = Object.hasOwn(rule.locations, location) ? rule.locations[location] : undefined;
  const named = own ?? (rule.target === null ? settings.locationTargets.get(location) : undefined);
  return { target: named ?? rule.target ?? settings.target, none: named === 0 };
}

/** Bots that are ready or on their way to be, in containers that stay, by reserveKey. */
function countWaiting({ bots, containers }: Pick<State, 'bots' | 'containers'>): ReadonlyMap<string, number> {
  const waiting = new Map<string, number>();
  const closed = closedContainers(containers);
  for (const bot of bots.records) {
    if (bot.deleting || !isWaiting(bot) || isStale(bot, closed)) continue;
    const key = reserveKey(bot);
    waiting.set(key, (waiting.get(key) ?? 0) + 1);
  }
  return waiting;
}
