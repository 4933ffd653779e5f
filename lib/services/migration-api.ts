import type { DataFacts, MigrationPhase, RestartPolicy } from '../domain/migration.ts';

/** A container, or a folder, that Bunkhouse did not make. */
export interface DeploymentView {
  readonly kind: 'container' | 'folder';
  /** Of the container; of a folder its path. */
  readonly name: string;
  /** Folder its files are in, as far as that is known. */
  readonly path: string | null;
  readonly image: string;
  readonly command: readonly string[];
  /** `unknown`: it could not be told, which never means stopped. */
  readonly state: 'running' | 'stopped' | 'unknown';
  readonly restartPolicy: RestartPolicy | null;
  readonly ports: readonly PublishedPort[];
  readonly mounts: readonly MountView[];
  /** ISO 8601, UTC; null: it does not run. */
  readonly startedAt: string | null;
}

export interface PublishedPort {
  /** Address of this machine; empty for all. */
  readonly host: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

export interface MountView {
  readonly kind: 'bind' | 'volume' | 'other';
  /** Path on the engine's machine, or name of the volume. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** Stable codes of what stands in the way of a migration, or is to be known. */
export const MIGRATION_PROBLEMS = [
  'ID_INVALID',
  'ID_TAKEN',
  'OWNER_INVALID',
  'STATE_UNKNOWN',
  'CONFIG_MISSING',
  'CONFIG_INVALID',
  'CODE_MISSING',
  'DATABASE_UNSUPPORTED',
  'DATABASE_DAMAGED',
  'DATABASE_UNREADABLE',
  'PORT_TAKEN',
  'PORT_MOVES',
  'NO_SPACE',
  'NO_IMAGE',
  'NO_PLACE',
  'RESTARTS',
  'SETTING_CHANGES',
] as const;
export type ProblemCode = (typeof MIGRATION_PROBLEMS)[number];

export interface MigrationProblem {
  readonly code: ProblemCode;
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
  /** It is not begun as long as this is so; otherwise it is to be known only. */
  readonly blocking: boolean;
}

/** A database of an old deployment, looked at without changing it. */
export interface DatabaseView {
  /** Path in the bot's directory. */
  readonly path: string;
  readonly bytes: number;
  readonly walBytes: number;
  /** Empty when SQLite finds it whole. */
  readonly damage: string;
  /** Null when it could not be read, or changed all the time. */
  readonly facts: DataFacts | null;
}

/** Everything a dry run tells of one deployment. Times in ISO 8601. */
export interface Candidate {
  /** The bot's id to be. */
  readonly id: string;
  readonly template: string;
  /** Null when it cannot be told. */
  readonly owner: string | null;
  readonly source: DeploymentView;
  readonly config: { readonly path: string; readonly bytes: number; readonly valid: boolean };
  /** Null: it has none, or it could not be looked for. */
  readonly database: DatabaseView | null;
  /** Arguments that its bot gets beside those of the template. */
  readonly args: readonly string[];
  readonly destination: {
    /** `template/group/location` */
    readonly pool: string;
    /** Null: a new one would be made, or there is no place. */
    readonly container: string | null;
    readonly note: string;
  };
  /** What would be done, one after the other. */
  readonly steps: readonly string[];
  readonly problems: readonly MigrationProblem[];
  /** Whether nothing stands in the way. */
  readonly ready: boolean;
  readonly estimate: {
    /** How long the bot would be away; null: nothing was measured yet to tell it from. */
    readonly secondsDown: number | null;
    /** What it was told from. */
    readonly basis: string;
  };
}

/** A container that Bunkhouse did not make. It is never touched, unless it is migrated. */
export interface ForeignContainer extends DeploymentView {
  /** Id of the candidate, or of the migration, that it is; null: it is none. */
  readonly id: string | null;
  /** Why it is none; empty otherwise. */
  readonly why: string;
}

export interface MigrationView {
  /** The bot's id. */
  readonly id: string;
  readonly template: string;
  readonly owner: string;
  readonly source: { readonly kind: 'container' | 'folder'; readonly name: string };
  readonly phase: MigrationPhase;
  /** Of the phase. */
  readonly since: string;
  readonly beganAt: string;
  readonly endedAt: string | null;
  /** Whether it is over, whichever way. */
  readonly over: boolean;
  /** How the old one was; null: not looked yet. */
  readonly ranBefore: boolean | null;
  readonly restartPolicy: RestartPolicy | null;
  /** How long neither was well, up to now or altogether; null: it was not stopped, or never ran. */
  readonly secondsDown: number | null;
  /** Why it goes back, or went; empty otherwise. */
  readonly why: string;
  /** What holds the present phase up, and is tried again; empty otherwise. */
  readonly held: string;
  readonly notes: readonly string[];
  readonly proof: { readonly before: DataFacts | null; readonly after: DataFacts | null };
  /** Backup with the data it came with, and of what was carried back. */
  readonly backup: string | null;
  readonly carried: string | null;
  /** When the old one is removed by itself; null: when somebody asks. */
  readonly removesAt: string | null;
}

export interface MigrationOverview {
  readonly candidates: readonly Candidate[];
  readonly migrations: readonly MigrationView[];
  readonly foreign: readonly ForeignContainer[];
  /** What could not be looked at, and why: then what is missing above may still be there. */
  readonly trouble: readonly string[];
}

export interface MigrationFilter {
  /** A folder on this machine that holds deployments as `OWNER/ID/`, looked through as well. */
  readonly from?: string;
  /** Only these candidates. */
  readonly only?: readonly string[];
}

export interface MigrationRequest extends MigrationFilter {
  /** On their way at the same time; 1 … 16, default 2. */
  readonly parallel?: number;
  /** Remove the old ones so many days after; left out: when somebody asks. */
  readonly keepDays?: number;
}

export interface MigrationAnswer {
  /** Those that were begun, or were on their way already. */
  readonly migrations: readonly MigrationView[];
  /** Those something stands in the way of: nothing was done to them. */
  readonly refused: readonly Candidate[];
}

/** Use cases of bringing old deployments into the pool, for an admin. */
export interface MigrationApi {
  /** Looks for deployments now. Changes nothing. Throws INVALID for a folder that cannot be read. */
  overview(filter: MigrationFilter): Promise<MigrationOverview>;
  /** Begins those that nothing stands in the way of. Throws NOT_FOUND for an id in `only` that is no candidate. */
  begin(request: MigrationRequest): Promise<MigrationAnswer>;
  /** Throws NOT_FOUND. */
  get(id: string): MigrationView;
  /** Back to the old one, with what the bot did since. Also of one under way. Throws NOT_FOUND; CONFLICT when it is finished or back already. */
  rollback(id: string): Promise<MigrationView>;
  /** Removes the old container, never its files. Throws NOT_FOUND; CONFLICT unless it is done. */
  finish(id: string): Promise<MigrationView>;
}
