import type { AgentObservation, BotObservation } from '../domain/agent.ts';
import type { BotRecord } from '../domain/bot.ts';
import type { State } from '../domain/state.ts';
import { type OpenLedger, type Period, type Reading, Tally, type Usage } from '../domain/usage.ts';
import type { World } from '../planner/world.ts';
import { follow } from './usage-follow.ts';
import { byHour } from './usage-spells.ts';

/** No supervisor is away for longer while its bots run on; each hour of it would get a file. */
const LONGEST_AWAY_MS = 366 * 24 * 60 * 60 * 1000;

export interface MeterOptions {
  /** Where to go on. */
  readonly open: OpenLedger;
  /** Ms since the epoch: what bots without a reading used before is counted already, or too old. */
  readonly countFrom: number;
  /** Told of everything that is counted. */
  readonly onUsage: (bot: BotRecord, usage: Usage) => void;
}

interface Taken {
  readonly reading: Reading;
  /** Ms of this supervisor's monotonic clock; null: taken by an earlier one. */
  readonly monotonic: number | null;
}

/** Turns what is observed, pass by pass, into usage by hour. All in memory; nothing of it waits. */
export class UsageMeter {
  readonly #options: MeterOptions;
  readonly #taken: Map<string, Taken>;
  readonly #periods: Map<Period, Tally>;
  readonly #looked = new Map<string, AgentObservation>();
  /** Those there were at the last look; null: before the first. */
  #bots: State['bots'] | null = null;

  constructor(options: MeterOptions) {
    this.#options = options;
    const { readings, periods } = options.open;
    this.#taken = new Map([...readings].map(([bot, reading]) => [bot, { reading, monotonic: null }]));
    this.#periods = new Map([...periods].map(([period, entries]) => [period, new Tally(entries)]));
  }

  /** Periods of which something is here. */
  get periods(): ReadonlyMap<Period, Tally> {
    return this.#periods;
  }

  get open(): OpenLedger {
    return {
      readings: new Map([...this.#taken].map(([bot, { reading }]) => [bot, reading])),
      periods: new Map([...this.#periods].map(([period, { entries }]) => [period, entries])),
    };
  }

  tally(period: Period): Tally {
    const tally = this.#periods.get(period) ?? new Tally();
    this.#periods.set(period, tally);
    return tally;
  }

  drop(period: Period): void {
    this.#periods.delete(period);
  }

  /** Counts what is new in this picture. Containers that were not asked since the last one, or cannot be seen, wait. */
  read(world: World, monotonic: number): void {
    const { agents, state } = world;
    for (const [container, agent] of agents) {
      if (agent.kind === 'unknown' || this.#looked.get(container) === agent.value) continue;
      this.#looked.set(container, agent.value);
      for (const observed of agent.value.bots) {
        const bot = state.bots.get(observed.bot);
        if (bot !== undefined) this.#look(world.now, monotonic, container, bot, observed);
      }
    }
    for (const container of this.#looked.keys()) if (!agents.has(container)) this.#looked.delete(container);
    for (const bot of this.#gone(state)) this.#taken.delete(bot);
    this.#bots = state.bots;
  }

  // Private

  #gone({ bots }: State): readonly string[] {
    if (this.#bots !== null) return bots.since(this.#bots).drop;
    return [...this.#taken.keys()].filter((bot) => !bots.has(bot));
  }

  #look(at: number, monotonic: number, container: string, bot: BotRecord, observed: BotObservation): void {
    const taken = this.#taken.get(bot.instanceId);
    const before = taken?.reading ?? null;
    // What it left where it lived before says nothing of the process it has.
    if (observed.pid === null && before?.process != null && before.container !== container) return;
    const elapsedMs = taken === undefined ? 0 : elapsed(taken, at, monotonic);
    const { spells, now } = follow(before, {
      owner: bot.owner,
      container,
      at,
      elapsedSeconds: elapsedMs / 1000,
      countFrom: Math.max(this.#options.countFrom, Date.parse(bot.createdAt)),
      observed,
    });
    this.#taken.set(bot.instanceId, { reading: now, monotonic });
    for (const spell of spells) {
      this.#options.onUsage(bot, spell.usage);
      for (const { period, usage } of byHour(spell)) {
        this.tally(period).add({ owner: spell.owner, bot: bot.instanceId, usage });
      }
    }
  }
}

/** The wall clock may be set: it is asked only where no other spans the time, and not believed when it tells of years. */
function elapsed({ reading, monotonic }: Taken, at: number, now: number): number {
  if (monotonic !== null) return now - monotonic;
  const awayMs = at - reading.at;
  return awayMs < 0 || awayMs > LONGEST_AWAY_MS ? 0 : awayMs;
}
