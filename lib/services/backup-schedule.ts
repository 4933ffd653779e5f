import type { BotRecord } from '../domain/bot.ts';
import { messageOf } from '../domain/errors.ts';
import { type BackupNeed, dueBackups } from '../planner/backups.ts';
import type { BackupFailure, BackupRuns } from './backup-runs.ts';
import { mayBeBackedUp, newestGood, scheduleOf } from './backup-selection.ts';
import { CronRounds } from './cron-rounds.ts';
import type { Dependencies } from './dependencies.ts';

const LOOK_EVERY_MS = 20_000;

export interface ScheduleOptions {
  /** Of templates that do not say. */
  readonly schedule: string | null;
  readonly spreadMs: number;
}

type ScheduleDependencies = Pick<
  Dependencies,
  'store' | 'backups' | 'archives' | 'carried' | 'templates' | 'clock' | 'log'
>;

/** Begins the backups that are due. It goes by what there is, not by what it has done, so a supervisor may end at any time. */
export class BackupSchedule {
  /** Why the backups there are cannot be looked at; empty when they can. */
  trouble = 'not looked at yet';
  readonly #deps: ScheduleDependencies;
  readonly #runs: BackupRuns;
  readonly #options: ScheduleOptions;
  readonly #abort = new AbortController();
  readonly #rounds = new CronRounds();
  #listed = false;

  constructor(deps: ScheduleDependencies, runs: BackupRuns, options: ScheduleOptions) {
    this.#deps = deps;
    this.#runs = runs;
    this.#options = options;
  }

  start(): void {
    void this.#goOn();
  }

  close(): void {
    this.#abort.abort();
  }

  /** One look: lists what there is the first time, then begins what is due. Returns whose. */
  async look(): Promise<readonly string[]> {
    if (!(await this.#list())) return [];
    const due = this.#due();
    for (const bot of due) void this.#runs.attempt(bot, 'scheduled');
    return due;
  }

  // Private

  async #goOn(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      await this.look().catch((error: unknown) =>
        this.#deps.log.error({ err: error }, 'a look for due backups failed'),
      );
      await this.#deps.clock.sleep(LOOK_EVERY_MS, this.#abort.signal);
    }
  }

  async #list(): Promise<boolean> {
    if (this.#listed) return true;
    try {
      await this.#deps.backups.list();
      const { backups, archives, carried } = this.#deps;
      for (const shelf of [backups, archives, carried]) await shelf.removeOrphans();
      this.#listed = true;
      this.trouble = '';
    } catch (error) {
      const why = messageOf(error);
      if (why !== this.trouble)
        this.#deps.log.warn({ place: this.#deps.backups.place }, `backups cannot be looked at: ${why}`);
      this.trouble = why;
    }
    return this.#listed;
  }

  #due(): string[] {
    const now = this.#deps.clock.now();
    const { spreadMs } = this.#options;
    return [...this.#needs()].flatMap(([cron, needs]) => {
      const at = this.#rounds.last(cron, now);
      return at === null ? [] : dueBackups(needs, { at, spreadMs }, now);
    });
  }

  /** By the cron expression that holds for them. */
  #needs(): Map<string, BackupNeed[]> {
    const { backups, store, templates } = this.#deps;
    const last = newestGood(backups.known);
    const needs = new Map<string, BackupNeed[]>();
    for (const bot of store.current().bots.records) {
      const cron = scheduleOf(bot, templates, this.#options.schedule);
      if (cron === null || !mayBeBackedUp(bot) || this.#runs.isRunning(bot.instanceId)) continue;
      const list = needs.get(cron) ?? [];
      needs.set(cron, list);
      list.push(needOf(bot, last(bot)?.createdAt, this.#runs.failureOf(bot.instanceId)));
    }
    return needs;
  }
}

// Private

function needOf(
  { instanceId, createdAt }: BotRecord,
  last: string | undefined,
  failure: BackupFailure | null,
): BackupNeed {
  return {
    bot: instanceId,
    createdAt: Date.parse(createdAt),
    lastGoodAt: last === undefined ? null : Date.parse(last),
    retryAt: failure?.nextTryAt ?? null,
  };
}
