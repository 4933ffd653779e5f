import type { BackupFacts, BackupKind } from '../domain/backup.ts';
import type { Actor } from '../domain/state.ts';
import type { BotView } from './pool-api.ts';

export interface BackupView extends BackupFacts {
  /** Whether its databases were whole. */
  readonly good: boolean;
  /** Kept among the backups, or among the archives of deleted bots. */
  readonly shelf: 'backups' | 'archives';
}

export interface BackupPage {
  readonly backups: readonly BackupView[];
  /** Pass as `after` for the next page; null on the last. */
  readonly next: string | null;
}

export interface BackupFilter {
  readonly bot?: string;
  readonly owner?: string;
  readonly kind?: BackupKind;
  readonly after?: string;
  /** 1 … 1000, default 200. */
  readonly limit?: number;
}

export interface RestoreRequest {
  /** As a new bot of this id; left out: in place, or made again under its old id when it was deleted. */
  readonly as?: string;
  /** Of the new bot; left out: as before. Only an admin says so. */
  readonly owner?: string;
  /** Whether a bot that is made is started; it is not when left out. */
  readonly start?: boolean;
  /** Take damaged databases as well, and leave out links that lead out of it and what is no file. */
  readonly force?: boolean;
}

export interface RestoreAnswer {
  readonly backup: string;
  readonly how: 'in-place' | 'new';
  readonly bot: BotView;
  /** What to know and do next, a sentence each. */
  readonly notes: readonly string[];
}

export interface RestoreStatus {
  readonly backup: string;
  readonly state: 'under-way' | 'done' | 'failed';
  /** Why it failed, and what the bot goes on with; empty otherwise. */
  readonly why: string;
}

/** How it stands with the backups of one bot. Times in ISO 8601. */
export interface BackupStatus {
  readonly instanceId: string;
  readonly owner: string;
  /** The last whose databases were whole; null: there is none. */
  readonly last: { readonly id: string; readonly createdAt: string; readonly ageSeconds: number } | null;
  /** Cron expression of its template, or of the setting; null: only when somebody asks. */
  readonly schedule: string | null;
  readonly running: boolean;
  /** Its restore that is under way, or the last one since this supervisor started; null: none. */
  readonly restore: RestoreStatus | null;
  /** Since the last good one. */
  readonly failure: {
    readonly count: number;
    readonly why: string;
    readonly at: string;
    readonly nextTryAt: string;
  } | null;
}

export interface BackupOverview {
  /** Where backups are kept, without credentials. */
  readonly place: string;
  /** Null: none but those that are asked for. */
  readonly schedule: string | null;
  readonly keep: string;
  /** Why the backups there are cannot be looked at; empty when they can. */
  readonly trouble: string;
  readonly bots: readonly BackupStatus[];
}

/** Use cases of backups. A bot or backup the actor may not see is NOT_FOUND. */
export interface BackupApi {
  /** Makes one now and resolves when it is kept. Throws CONFLICT for bots on lease, BOT_UNAVAILABLE, STORE_UNAVAILABLE. */
  backup(actor: Actor, instanceId: string): Promise<BackupView>;
  /** Begins backups of these bots (all when left out), a few at a time. Returns whose; the overview shows how it goes. */
  run(actor: Actor, bots?: readonly string[]): { readonly started: readonly string[] };
  list(actor: Actor, filter: BackupFilter): Promise<BackupPage>;
  get(actor: Actor, id: string): Promise<BackupView>;
  remove(actor: Actor, id: string): Promise<BackupView>;
  /** Checks the backup, then makes it a wish, which is carried out by the passes that follow. Throws CONFLICT, INVALID, FORBIDDEN. */
  restore(actor: Actor, id: string, request: RestoreRequest): Promise<RestoreAnswer>;
  /** Of one bot, or of all the actor may see. */
  overview(actor: Actor, instanceId?: string): BackupOverview;
}
