/**
 * How far a deployment of old has come on its way into the pool. Each phase is durable before anything of it is done, and all that
 * is done in it may be repeated.
 *
 * There: `waiting`: for its turn. `preparing`: its bot is made, held stopped, and gets a place, while the old one lives on. `stopping`: the old one is kept from being restarted, stopped, and seen dead. `copying`: its data
 * becomes a backup. `placing`: the bot gets that data. `comparing`: what the bot has is compared, row by
 * row. `proving`: it is as the old one was, and has to show that it is well. `done`: the old one is kept, stopped.
 *
 * Back: `leaving`: the bot is held stopped until it is seen stopped. `returning`: what it did since is carried into the old
 * deployment. `removing`: the bot is archived and deleted. `reviving`: the old one gets back its restart policy and its life. Then it
 * is `failed`, or `rolled-back` when somebody asked for that.
 *
 * `clearing`: the old one is removed. `finished`: it is gone.
 */
export const MIGRATION_PHASES = [
  'waiting',
  'preparing',
  'stopping',
  'copying',
  'placing',
  'comparing',
  'proving',
  'done',
  'leaving',
  'returning',
  'removing',
  'reviving',
  'failed',
  'rolled-back',
  'clearing',
  'finished',
] as const;
export type MigrationPhase = (typeof MIGRATION_PHASES)[number];

/** Where a deployment of old is. `folder`: nothing but its files is left. */
export type DeploymentRef =
  /** `id`: the engine's, so that another container of that name is not taken for it. */
  | { readonly kind: 'container'; readonly name: string; readonly id: string }
  | { readonly kind: 'folder'; readonly path: string };

export interface RestartPolicy {
  readonly name: 'no' | 'always' | 'unless-stopped' | 'on-failure';
  readonly maximumRetryCount: number;
}

/** How the old one was before anything was done to it. */
export interface OldLife {
  readonly ran: boolean;
  /** Null: there is no container that could be restarted. */
  readonly restartPolicy: RestartPolicy | null;
}

/** What was found in a bot's database by a look that changes nothing. */
export interface DataFacts {
  /** Path in the bot's directory. */
  readonly path: string;
  readonly bytes: number;
  /** By table. */
  readonly tables: Readonly<Record<string, TableFacts>>;
  /** What the template asks of it, such as the number of open trades; null: that was null, or could not be asked. */
  readonly answers: Readonly<Record<string, string | null>>;
}

export interface TableFacts {
  readonly rows: number;
  /** Highest row id; null: none, or a table without. */
  readonly last: number | null;
  /** SHA-256 of all rows in order. */
  readonly sha256: string;
}

/** The journal of one deployment's way into the pool, and of the way back. */
export interface MigrationRecord {
  readonly instanceId: string;
  readonly template: string;
  readonly owner: string;
  readonly source: DeploymentRef;
  readonly phase: MigrationPhase;
  /** ISO 8601, UTC: of the present phase, as are all times. */
  readonly since: string;
  readonly beganAt: string;
  readonly endedAt: string | null;
  /** Others on their way at the same time, at the most, itself included. */
  readonly parallel: number;
  /** Days after which the old one is removed; null: when somebody asks. */
  readonly keepDays: number | null;
  /** Path of the database in the bot's directory; null: it has none. */
  readonly database: string | null;
  /** Noted before anything is done to it. */
  readonly old: OldLife | null;
  /** Id of the backup with its data as it was when it was stopped. */
  readonly backup: string | null;
  /** Of that backup, and of the bot when it was proven. */
  readonly before: DataFacts | null;
  readonly after: DataFacts | null;
  /** The bot may have worked since its data was put in place: what it did must not be lost. */
  readonly ran: boolean;
  /** Id of the backup of what it did, once that is safe. */
  readonly carried: string | null;
  /** When it was stopped, and when one of the two was well again. */
  readonly downSince: string | null;
  readonly upSince: string | null;
  /** Why it goes back, or went; empty otherwise. */
  readonly why: string;
  /** What whoever looks after it should know, a sentence each. */
  readonly notes: readonly string[];
}

const OVER: ReadonlySet<MigrationPhase> = new Set(['done', 'failed', 'rolled-back', 'finished']);
const BACK: ReadonlySet<MigrationPhase> = new Set(['leaving', 'returning', 'removing', 'reviving']);

/** Whether something is still to be done for it. */
export function isUnderWay({ phase }: Pick<MigrationRecord, 'phase'>): boolean {
  return !OVER.has(phase);
}

export function goesBack({ phase }: Pick<MigrationRecord, 'phase'>): boolean {
  return BACK.has(phase);
}

/** Whether the bot is nobody else's to make, start or change now. */
export function ownsBot({ phase }: Pick<MigrationRecord, 'phase'>): boolean {
  return isUnderWay({ phase }) && phase !== 'waiting' && phase !== 'clearing';
}

const FREE: ReadonlySet<MigrationPhase> = new Set([
  'waiting',
  'preparing',
  'stopping',
  'reviving',
  'failed',
  'rolled-back',
  'finished',
]);

/** Whether the old one must be dead: the bot lives, or may, or its data is in between. */
export function mustStayDead({ phase, downSince }: Pick<MigrationRecord, 'phase' | 'downSince'>): boolean {
  return downSince !== null && !FREE.has(phase);
}
