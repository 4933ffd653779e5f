import { type BackupFacts, isGood, type KeptBot } from '../domain/backup.ts';
import type { Keep } from '../domain/backup-rule.ts';
import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError } from '../domain/errors.ts';
import { isStillborn, type RestoreWish } from '../domain/restore.ts';
import type { Actor } from '../domain/state.ts';
import { isoTime } from '../util/clock.ts';
import type {
  BackupApi,
  BackupFilter,
  BackupOverview,
  BackupPage,
  BackupStatus,
  BackupView,
  RestoreAnswer,
  RestoreRequest,
  RestoreStatus,
} from './backup-api.ts';
import { BackupRuns } from './backup-runs.ts';
import { BackupSchedule } from './backup-schedule.ts';
import { mayBeBackedUp, newestGood, scheduleOf } from './backup-selection.ts';
import { unlessMigrating } from './bot-container-mapper.ts';
import { visibleBot } from './bots.ts';
import type { Dependencies } from './dependencies.ts';
import { expireForEver } from './expiry.ts';
import type { PoolOptions } from './pool-api.ts';
import type { Reconciler } from './reconciler.ts';
import { addRestored, retryRestore, wishRestore } from './restore-changes.ts';
import { damaged, type Found, notesOn, readThrough, remadeBot, taken, unknownBot } from './restore-request.ts';
import { findBackup } from './restore-step.ts';
import { botView } from './views.ts';

export interface BackupOptions extends PoolOptions {
  /** Cron expression of five fields; null: only what is asked for. */
  readonly schedule: string | null;
  /** Over how long the backups of a round are spread. */
  readonly spreadMs: number;
  readonly keep: Keep;
  /** Backups made at the same time. */
  readonly parallel: number;
  /** Days for which archives and backups of deleted bots are kept; null: for ever. */
  readonly keepDeletedDays: number | null;
}

/** The use cases of backups over store, shelves and reconciler. */
export class Backups implements BackupApi {
  readonly #deps: Dependencies;
  readonly #reconciler: Reconciler;
  readonly #options: BackupOptions;
  readonly #runs: BackupRuns;
  readonly #schedule: BackupSchedule;
  readonly #restores = new Map<string, RestoreStatus>();
  readonly #abort = new AbortController();

  constructor(deps: Dependencies, reconciler: Reconciler, options: BackupOptions) {
    this.#deps = deps;
    this.#reconciler = reconciler;
    this.#options = options;
    this.#runs = new BackupRuns(deps, reconciler.agents, options);
    this.#schedule = new BackupSchedule(deps, this.#runs, options);
  }

  /** Looks at what there is, then makes what is due, for ever. */
  start(): void {
    this.#schedule.start();
    void this.#followRestores();
    void expireForEver(this.#deps, this.#options.keepDeletedDays, this.#abort.signal);
  }

  /** Begins nothing more; what is under way is broken off with its container's connection. */
  close(): void {
    this.#abort.abort();
    this.#schedule.close();
  }

  async backup(actor: Actor, instanceId: string): Promise<BackupView> {
    const bot = visibleBot(this.#deps.store.current(), actor, instanceId);
    return this.#view({ shelf: this.#deps.backups, facts: await this.#runs.run(bot.instanceId, 'asked') });
  }

  run(actor: Actor, bots?: readonly string[]): { readonly started: readonly string[] } {
    const named = bots?.map((id) => visibleBot(this.#deps.store.current(), actor, id));
    const started = (named ?? this.#visible(actor)).filter(mayBeBackedUp).map(({ instanceId }) => instanceId);
    for (const id of started) void this.#runs.attempt(id, 'asked');
    return { started };
  }

  async list(actor: Actor, filter: BackupFilter): Promise<BackupPage> {
    const { backups, archives } = this.#deps;
    const shelves = await Promise.all([backups, archives].map(async (shelf) => ({ shelf, all: await shelf.list() })));
    const limit = filter.limit ?? 200;
    const matching = shelves
      .flatMap(({ shelf, all }) => all.map((facts) => ({ shelf, facts })))
      .filter(({ facts }) => maySee(actor, facts) && matches(facts, filter))
      .sort((a, b) => (a.facts.id < b.facts.id ? -1 : 1));
    const page = matching.slice(0, limit).map((found) => this.#view(found));
    return { backups: page, next: matching.length > limit ? (page.at(-1)?.id ?? null) : null };
  }

  async get(actor: Actor, id: string): Promise<BackupView> {
    return this.#view(await this.#find(actor, id));
  }

  async remove(actor: Actor, id: string): Promise<BackupView> {
    const found = await this.#find(actor, id);
    const user = this.#deps.store.current().bots.records.find(({ restore }) => restore?.backup === id);
    if (user !== undefined) throw new BunkhouseError('CONFLICT', `${user.instanceId} is being restored from it`);
    await found.shelf.remove(id);
    return this.#view(found);
  }

  async restore(actor: Actor, id: string, request: RestoreRequest): Promise<RestoreAnswer> {
    const found = await this.#find(actor, id);
    const { facts, shelf } = found;
    if (!isGood(facts) && request.force !== true) throw damaged(facts);
    await readThrough(found);
    const target = request.as ?? facts.bot;
    const existing = this.#deps.store.current().bots.get(target);
    const restore: RestoreWish = {
      backup: id,
      replaces: existing !== undefined,
      kept: null,
      tolerate: request.force ?? false,
      since: isoTime(this.#deps.clock.now()),
      failed: null,
    };
    if (existing !== undefined && isStillborn(existing)) return this.#tryAgain(actor, facts, existing, restore);
    if (existing === undefined)
      return this.#makeAgain(actor, facts, await shelf.bot(id), { ...request, as: target }, restore);
    if (request.as !== undefined)
      throw new BunkhouseError('CONFLICT', `there is a bot ${target} already; choose another id`);
    return this.#replace(actor, facts, existing, restore);
  }

  overview(actor: Actor, instanceId?: string): BackupOverview {
    const { backups } = this.#deps;
    const { schedule, keep } = this.#options;
    const last = newestGood(backups.known);
    return {
      place: backups.place,
      schedule,
      keep: `last=${keep.last},daily=${keep.daily},weekly=${keep.weekly}`,
      trouble: this.#schedule.trouble,
      bots: (instanceId === undefined
        ? this.#visible(actor)
        : [visibleBot(this.#deps.store.current(), actor, instanceId)]
      )
        .filter(({ reserve }) => reserve === null)
        .map((bot) => this.#status(bot, last(bot))),
    };
  }

  // Private

  #visible(actor: Actor): BotRecord[] {
    const all = this.#deps.store.current().bots.records;
    return all.filter((bot) => actor.role === 'admin' || (bot.owner === actor.owner && bot.reserve === null));
  }

  async #find(actor: Actor, id: string): Promise<Found> {
    const found = await findBackup(this.#deps, id);
    if (found === null || !maySee(actor, found.facts))
      throw new BunkhouseError('NOT_FOUND', `there is no backup ${id}`);
    return found;
  }

  #view({ shelf, facts }: Found): BackupView {
    return { ...facts, good: isGood(facts), shelf: shelf === this.#deps.archives ? 'archives' : 'backups' };
  }

  async #replace(actor: Actor, facts: BackupFacts, bot: BotRecord, restore: RestoreWish): Promise<RestoreAnswer> {
    const { instanceId, owner, template, reserve } = bot;
    if (actor.role === 'owner' && bot.owner !== actor.owner) throw taken(instanceId);
    if ((facts.owner ?? owner) !== owner || (facts.template ?? template) !== template) throw taken(instanceId);
    if (reserve !== null)
      throw new BunkhouseError('CONFLICT', `${instanceId} is handed out on lease and is not changed`);
    const record = await this.#deps.store.update(unlessMigrating(instanceId, wishRestore(instanceId, owner, restore)));
    const notes = [
      `${instanceId} is stopped, its present data kept as a backup of its own (before-restore), and replaced; then it goes on as ${record.desired}.`,
    ];
    return this.#answer(record, 'in-place', facts, notes);
  }

  async #tryAgain(actor: Actor, facts: BackupFacts, bot: BotRecord, restore: RestoreWish): Promise<RestoreAnswer> {
    const { instanceId, owner } = bot;
    if (actor.role === 'owner' && owner !== actor.owner) throw taken(instanceId);
    const again = { ...restore, replaces: false };
    const record = await this.#deps.store.update(retryRestore(instanceId, again));
    return this.#answer(record, 'new', facts, notesOn(record, facts, this.#deps.store.current().bots.has(facts.bot)));
  }

  async #makeAgain(
    actor: Actor,
    facts: BackupFacts,
    kept: KeptBot | null,
    request: RestoreRequest & { readonly as: string },
    restore: RestoreWish,
  ): Promise<RestoreAnswer> {
    if (kept === null) throw unknownBot(facts);
    const bot = remadeBot({ ...this.#deps, ...this.#options }, actor, kept, request);
    const record = await this.#deps.store.update(unlessMigrating(bot.instanceId, addRestored(bot, restore)));
    const { instanceId, owner, template } = record;
    this.#deps.events.emit({ type: 'bot.created', bot: instanceId, owner, template }, owner);
    return this.#answer(record, 'new', facts, notesOn(record, facts, this.#deps.store.current().bots.has(facts.bot)));
  }

  #answer(record: BotRecord, how: RestoreAnswer['how'], facts: BackupFacts, notes: string[]): RestoreAnswer {
    this.#restores.set(record.instanceId, { backup: facts.id, state: 'under-way', why: '' });
    this.#deps.events.emit({ type: 'bot.restoring', bot: record.instanceId, backup: facts.id }, record.owner);
    this.#reconciler.request();
    return { backup: facts.id, how, bot: botView(record, this.#reconciler.states, this.#options.addresses), notes };
  }

  /** Remembers how restores ended, for whoever waits for one. */
  async #followRestores(): Promise<void> {
    const { events } = this.#deps;
    for await (const { event } of events.subscribe({ lastId: null, signal: this.#abort.signal, owner: null })) {
      if (event.type === 'bot.deleted') this.#restores.delete(event.bot);
      if (event.type === 'bot.restored')
        this.#restores.set(event.bot, { backup: event.backup, state: 'done', why: '' });
      if (event.type === 'bot.restore-failed')
        this.#restores.set(event.bot, { backup: event.backup, state: 'failed', why: event.why });
    }
  }

  #restoreOf({ instanceId, restore }: BotRecord): RestoreStatus | null {
    if (restore === null) return this.#restores.get(instanceId) ?? null;
    const { backup, failed } = restore;
    return failed === null ? { backup, state: 'under-way', why: '' } : { backup, state: 'failed', why: failed };
  }

  #status(bot: BotRecord, last: BackupFacts | undefined): BackupStatus {
    const now = this.#deps.clock.now();
    const { instanceId, owner } = bot;
    const failure = this.#runs.failureOf(instanceId);
    return {
      instanceId,
      owner,
      restore: this.#restoreOf(bot),
      schedule: scheduleOf(bot, this.#deps.templates, this.#options.schedule),
      running: this.#runs.isRunning(instanceId),
      last:
        last === undefined
          ? null
          : {
              id: last.id,
              createdAt: last.createdAt,
              ageSeconds: Math.max(0, Math.round((now - Date.parse(last.createdAt)) / 1000)),
            },
      failure:
        failure === null
          ? null
          : { count: failure.count, why: failure.why, at: isoTime(failure.at), nextTryAt: isoTime(failure.nextTryAt) },
    };
  }
}

// Private

/** What was kept before anybody wrote down whose it is, only an admin may see. */
function maySee(actor: Actor, { owner }: BackupFacts): boolean {
  return actor.role === 'admin' || owner === actor.owner;
}

function matches(facts: BackupFacts, { bot, owner, kind, after }: BackupFilter): boolean {
  return (
    (bot === undefined || facts.bot === bot) &&
    (owner === undefined || facts.owner === owner) &&
    (kind === undefined || facts.kind === kind) &&
    (after === undefined || facts.id > after)
  );
}
