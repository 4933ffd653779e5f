import { createTask } from 'node-cron';
import { messageOf } from '../domain/errors.ts';
import { type BackupNeed, dueBackups } from '../planner/backups.ts';
import type { BackupRuns } from './backup-runs.ts';
import { mayBeBackedUp, newestGood } from './backup-selection.ts';
import type { Dependencies } from './dependencies.ts';

const MINUTE_MS = 60_000;
const LOOK_EVERY_MS = 20_000;
/** A round that began longer ago, while no supervisor ran, is not made good. */
const LOOK_BACK_MINUTES = 8 * 24 * 60;

export interface ScheduleOptions {
  readonly schedule: string | null;
  readonly spreadMs: number;
}

type ScheduleDependencies = Pick<Dependencies, 'store' | 'backups' | 'clock' | 'log'>;

/** Begins the backups that are due. It goes by what there is, not by what it has done, so a supervisor may end at any time. */
export class BackupSchedule {
  /** Why the backups there are cannot be looked at; empty when they can. */
  trouble = 'not looked at yet';
  readonly #deps: ScheduleDependencies;
  readonly #runs: BackupRuns;
  readonly #options: ScheduleOptions;
  readonly #abort = new AbortController();
  #listed = false;
  #round: number | null = null;
  #lookedMinute: number | null = null;

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
    const at = this.#lastRound(now);
    return at === null ? [] : dueBackups(this.#needs(), { at, spreadMs: this.#options.spreadMs }, now);
  }

  #needs(): BackupNeed[] {
    const last = newestGood(this.#deps.backups.known);
    const bots = this.#deps.store.current().bots.records.filter(mayBeBackedUp);
    return bots
      .filter(({ instanceId }) => !this.#runs.isRunning(instanceId))
      .map(({ instanceId: bot, createdAt }) => {
        const made = last.get(bot)?.createdAt;
        return {
          bot,
          createdAt: Date.parse(createdAt),
          lastGoodAt: made === undefined ? null : Date.parse(made),
          retryAt: this.#runs.failureOf(bot)?.nextTryAt ?? null,
        };
      });
  }

  /** Cron knows only whole minutes, so each is looked at once: those of the last days at the first look. */
  #lastRound(now: number): number | null {
    const { schedule } = this.#options;
    if (schedule === null) return null;
    const minute = Math.floor(now / MINUTE_MS);
    const from = this.#lookedMinute ?? minute - LOOK_BACK_MINUTES;
    const task = createTask(schedule, () => {});
    for (let at = minute; at > from; at--) {
      if (!task.match(new Date(at * MINUTE_MS))) continue;
      this.#round = at * MINUTE_MS;
      break;
    }
    this.#lookedMinute = minute;
    return this.#round;
  }
}
