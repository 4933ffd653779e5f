import { BunkhouseError } from '../../lib/domain/errors.ts';
import { addUsage, NO_USAGE, type Usage } from '../../lib/domain/usage.ts';
import type { World } from '../../lib/planner/world.ts';
import { UsageLedger } from '../../lib/services/usage-ledger.ts';
import { createUsageFiles } from '../../lib/store/usage-files.ts';
import type { UsageStore } from '../../lib/store/usage-store.ts';
import type { Clock } from '../../lib/util/clock.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { silentLogger } from '../../lib/util/logger.ts';
import { aBot, aContainer, anAgent, aState, aWorld, observedBot } from '../planner/builders.ts';

const START = Date.UTC(2026, 4, 1, 10, 40);
const PSS = 50_000_000;
const CPU_SHARE = 0.25;

interface Life {
  readonly pid: number;
  /** By the real time of the model. */
  readonly from: number;
  to: number | null;
  readonly startedAt: number;
}

/** Up to which look a bot was counted, and for how many ms its running and its CPU time could not be known. */
interface Known {
  readonly look: number | null;
  /** Lives that had begun, and that had ended, by then. */
  readonly begun: number;
  readonly ended: number;
  readonly missed: number;
  readonly cpuMissed: number;
}

const UNKNOWN: Known = { look: null, begun: 0, ended: 0, missed: 0, cpuMissed: 0 };

export class ModelBot {
  readonly id: string;
  readonly container: string;
  readonly lives: Life[] = [];
  restarts = 0;
  lastExit: { code: number; signal: null; at: number; expected: boolean } | null = null;
  present: Known = UNKNOWN;
  durable: Known = UNKNOWN;

  constructor(id: string, container: string) {
    this.id = id;
    this.container = container;
  }

  get life(): Life | null {
    const last = this.lives.at(-1);
    return last?.to === null ? last : null;
  }
}

/** Bots that come and go in two containers, their supervisor and its disk: and what is true about all of it. */
export class UsageModel {
  readonly bots = [new ModelBot('a', 'c-1'), new ModelBot('b', 'c-1'), new ModelBot('c', 'c-2')];
  readonly #folder: string;
  readonly #hidden = new Set<string>();
  #now = START;
  #set = 0;
  #pid = 100;
  #full = false;
  #bootedAt = START;
  #ledger: UsageLedger | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    for (const bot of this.bots) this.#begin(bot);
  }

  get up(): boolean {
    return this.#ledger !== null;
  }

  pass(seconds: number): void {
    this.#now += seconds * 1000;
  }

  hide(container: string, hidden: boolean): void {
    if (hidden) this.#hidden.add(container);
    else this.#hidden.delete(container);
  }

  fill(full: boolean): void {
    this.#full = full;
  }

  async boot(): Promise<void> {
    if (this.#ledger !== null) return;
    this.#bootedAt = this.#now;
    const ledger = new UsageLedger({ store: this.#store(), clock: this.#clock(), onUsage: () => {} });
    await ledger.load();
    this.#ledger = ledger;
  }

  /** `kill -9`: what was not written is gone. */
  kill(): void {
    this.#ledger = null;
    for (const bot of this.bots) bot.present = bot.durable;
  }

  async write(): Promise<void> {
    if (this.#ledger === null) return;
    try {
      await this.#ledger.write();
      for (const bot of this.bots) bot.durable = bot.present;
    } catch (error) {
      if (!this.#full) throw error;
    }
  }

  look(): void {
    if (this.#ledger === null) return;
    this.#ledger.observe(this.#world());
    for (const bot of this.bots) if (!this.#hidden.has(bot.container)) this.#note(bot);
  }

  /** By itself: at any time. */
  crash(bot: ModelBot): void {
    this.#end(bot, false);
  }

  /** By its container, after a crash. */
  revive(bot: ModelBot): void {
    if (bot.life !== null || bot.lastExit?.expected !== false) return;
    bot.restarts += 1;
    this.#begin(bot);
  }

  /** As somebody asked the supervisor to, who looks at once and has it written within the minute. */
  async turn(bot: ModelBot): Promise<void> {
    if (this.#ledger === null || this.#full || this.#hidden.has(bot.container)) return;
    if (bot.life !== null) this.#end(bot, true);
    else if (bot.lastExit?.expected !== false) this.#begin(bot);
    this.look();
    await this.write();
  }

  /** Somebody sets the clock while the supervisor runs; set while it is away, nobody could tell. */
  async setClock(byMinutes: number): Promise<void> {
    if (this.#ledger === null || this.#full || this.#hidden.size > 0) return;
    this.look();
    this.#set += byMinutes * 60_000;
    this.look();
    await this.write();
  }

  /** Everything counted, by bot. */
  async counted(): Promise<ReadonlyMap<string, Usage>> {
    const account = await this.#ledger?.account(0, START * 2);
    const sums = new Map<string, Usage>();
    for (const { bot, usage } of account?.entries ?? []) sums.set(bot, addUsage(sums.get(bot) ?? NO_USAGE, usage));
    return sums;
  }

  /** What is true: most it used, and least that can be known of it. */
  truth(bot: ModelBot): { readonly most: Usage; readonly least: Usage } {
    const most = bot.lives.reduce((sum, { from, to }) => sum + ((to ?? this.#now) - from) / 1000, 0);
    const { missed, cpuMissed } = bot.present;
    const { cpuSeconds } = use(most - cpuMissed / 1000);
    return { most: use(most), least: { ...use(most - missed / 1000), cpuSeconds } };
  }

  // Private

  #begin(bot: ModelBot): void {
    this.#pid += 1;
    bot.lives.push({ pid: this.#pid, from: this.#now, to: null, startedAt: this.#wall() / 1000 });
  }

  #end(bot: ModelBot, expected: boolean): void {
    if (bot.life === null) return;
    bot.life.to = this.#now;
    bot.lastExit = { code: 1, signal: null, at: this.#wall() / 1000, expected };
  }

  /** What this look cannot tell: all but the present life, and when it ended of the one exit we are told of. */
  #note(bot: ModelBot): void {
    const { look, begun, ended, missed, cpuMissed } = bot.present;
    const since = look ?? START;
    const over = bot.lives.filter(({ to }) => to !== null);
    const unseen = over.slice(ended);
    const told = unseen.length === 1 && begun > ended;
    const gone = unseen.reduce((sum, { from, to }) => sum + (to ?? 0) - Math.max(from, since), 0);
    bot.present = {
      look: this.#now,
      begun: bot.lives.length,
      ended: over.length,
      missed: missed + (told ? 0 : gone),
      cpuMissed: cpuMissed + gone,
    };
  }

  #wall(): number {
    return this.#now + this.#set;
  }

  #clock(): Clock {
    const bootedAt = this.#bootedAt;
    return { ...systemClock, now: () => this.#wall(), monotonic: () => this.#now - bootedAt };
  }

  #store(): UsageStore {
    const files = createUsageFiles({ folder: this.#folder, clock: this.#clock(), log: silentLogger });
    const check = (): void => {
      if (this.#full) throw new BunkhouseError('STORE_UNAVAILABLE', 'no space left on device');
    };
    return {
      ...files,
      async saveOpen(ledger) {
        check();
        await files.saveOpen(ledger);
      },
      async save(period, entries) {
        check();
        await files.save(period, entries);
      },
    };
  }

  #world(): World {
    const records = this.bots.map((bot) =>
      aBot(bot.id, {
        createdAt: new Date(START - 1000).toISOString(),
        placement: { container: bot.container, slot: 0, port: 9000 },
      }),
    );
    const containers = ['c-1', 'c-2'];
    return aWorld({
      now: this.#wall(),
      state: aState(
        records,
        containers.map((name) => aContainer(name)),
      ),
      agents: new Map(
        containers.map((name) => [
          name,
          this.#hidden.has(name)
            ? { kind: 'unknown', reason: 'no answer' }
            : { kind: 'seen', value: anAgent(this.#observations(name)) },
        ]),
      ),
    });
  }

  #observations(container: string) {
    return this.bots
      .filter((bot) => bot.container === container)
      .map((bot) => {
        const { life } = bot;
        return observedBot(aBot(bot.id), {
          pid: life?.pid ?? null,
          startedAt: life?.startedAt ?? null,
          restarts: bot.restarts,
          lastExit: bot.lastExit,
          memory:
            life === null ? null : { pssBytes: PSS, rssBytes: PSS, privateBytes: PSS, sharedBytes: 0, swapBytes: 0 },
          cpuSeconds: life === null ? null : ((this.#now - life.from) / 1000) * CPU_SHARE,
        });
      });
  }
}

const use = (seconds: number): Usage => ({
  runningSeconds: seconds,
  pssByteSeconds: seconds * PSS,
  cpuSeconds: seconds * CPU_SHARE,
});
