import type { Backoff, BotLimits, ExecStep, Prefork, Readiness, ServiceReadiness, StopRule } from './template.ts';

/** Everything a container must know to run one bot. Complete: applying it twice is the same as once. */
export interface BotSpec {
  readonly bot: string;
  readonly generation: number;
  readonly restartGeneration: number;
  readonly slot: number;
  readonly port: number;
  /** Address the bot binds: loopback on the process driver, all addresses inside a container of its own network. */
  readonly host: string;
  readonly run: boolean;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly directories: readonly string[];
  readonly files: readonly FileSpec[];
  readonly readiness: Readiness;
  readonly stop: StopRule;
  readonly backoff: Backoff;
  readonly limits: BotLimits;
  readonly prefork: Prefork | null;
  /** Services of its container: all of them are up before it is started. */
  readonly services: readonly ServiceUse[];
  /** Texts that must not be shown where a program's output is told. */
  readonly secrets: readonly string[];
  /** Tell parts of this from those of another spec; the container only repeats them. */
  readonly marks: Marks;
}

/** By part of a spec, short texts that are equal when the parts are. */
export type Marks = Readonly<Record<string, string>>;

/** A service, and what it is to do for one bot. */
export interface ServiceUse {
  readonly service: ServiceSpec;
  readonly provision: readonly ExecStep[];
  readonly deprovision: readonly ExecStep[];
  readonly archive: readonly ExecStep[];
}

/** Everything a container must know to run a service: the same for all its bots, but for those that are of an older template. */
export interface ServiceSpec {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly FileSpec[];
  readonly readiness: ServiceReadiness;
  readonly stop: StopRule;
  readonly backoff: Backoff;
  readonly limits: BotLimits;
}

export interface FileSpec {
  readonly path: string;
  readonly mode: number;
  readonly when: 'always' | 'absent';
  /** Content in base64. */
  readonly data: string;
}

/** Process state inside a container, as the supervisord plugin reports it. */
export type ProcessState = 'starting' | 'running' | 'backoff' | 'stopping' | 'stopped';

/** One bot as its container sees it. Times in seconds since the epoch. */
export interface BotObservation {
  readonly bot: string;
  readonly slot: number;
  readonly port: number;
  readonly generation: number;
  readonly run: boolean;
  /** As last applied: what it is to be held to, for whoever holds it to them from outside the container. */
  readonly limits: BotLimits;
  /** `running` only once ready (see Readiness). */
  readonly state: ProcessState;
  readonly pid: number | null;
  readonly startedAt: number | null;
  readonly readyAt: number | null;
  /** Generation under which the living process was started. */
  readonly startedGeneration: number | null;
  /** When a process in backoff is tried again. */
  readonly nextStartAt: number | null;
  /** Starts after the first one that nobody asked for. */
  readonly restarts: number;
  readonly lastExit: ExitObservation | null;
  /** Last STATUS= on the notify socket. */
  readonly status: string;
  /** Who listens on the bot's port; null: not looked yet. */
  readonly listener: 'self' | 'other' | 'none' | null;
  /** Of the whole process tree. */
  readonly memory: MemorySample | null;
  readonly cpuSeconds: number | null;
  readonly openFiles: number | null;
  /** Of its directory; null: not measured yet, or no limit to hold it to. */
  readonly diskBytes: number | null;
  /** How the living process was started. */
  readonly spawn: Spawn | null;
  /** Of the spec under which the living process was started; null: there is none, or its container does not know. */
  readonly marks: Marks | null;
  /** Why it is not running: for people. */
  readonly reason: string;
  /** What will soon be a reason, such as memory near its ceiling; empty when all is well. */
  readonly warning: string;
}

/** One service as its container sees it. Times in seconds since the epoch. */
export interface ServiceObservation {
  readonly name: string;
  /** `running` only once ready (see ServiceReadiness). */
  readonly state: ProcessState;
  readonly pid: number | null;
  readonly startedAt: number | null;
  readonly readyAt: number | null;
  readonly nextStartAt: number | null;
  /** Starts after the first one that nobody asked for. */
  readonly restarts: number;
  readonly lastExit: ExitObservation | null;
  readonly status: string;
  readonly memory: MemorySample | null;
  readonly cpuSeconds: number | null;
  readonly openFiles: number | null;
  readonly diskBytes: number | null;
  /** Its definition was changed since the living process was started: it is restarted as soon as no bot of the container runs. */
  readonly outdated: boolean;
  readonly reason: string;
  readonly warning: string;
}

/** `reason`: why a bot that its template wants forked was executed; empty otherwise. */
export interface Spawn {
  readonly kind: 'prefork' | 'exec';
  readonly reason: string;
}

/** Bytes of physical memory. PSS counts a page shared by n processes as 1/n; private pages are nobody else's. */
export interface MemorySample {
  readonly pssBytes: number;
  readonly rssBytes: number;
  readonly privateBytes: number;
  readonly sharedBytes: number;
  readonly swapBytes: number;
}

export interface ExitObservation {
  readonly code: number | null;
  readonly signal: string | null;
  readonly at: number;
  /** Asked for by a stop or restart. */
  readonly expected: boolean;
}

/** Who listens on a bot's port at this very moment, and the process of it that lives then. */
export interface ListenerObservation {
  readonly listener: 'self' | 'other' | 'none';
  readonly pid: number | null;
  readonly startedAt: number | null;
}

/** Everything one container reports in one call. */
export interface AgentObservation {
  /** Random per supervisord process: a new one means everything inside was started anew. */
  readonly incarnation: string;
  /** Position for `wait`. */
  readonly cursor: number;
  readonly protocol: number;
  /** Where everything of the container is, as its bots see it. */
  readonly directory: string;
  readonly python: string;
  /** Whether each slot has a uid of its own. */
  readonly isolatesUsers: boolean;
  /** Of supervisord itself. */
  readonly overhead: MemorySample | null;
  readonly zygotes: readonly ZygoteObservation[];
  /** Those that bots applied since the start of supervisord want. */
  readonly services: readonly ServiceObservation[];
  /** Whether each bot has a cgroup of its own, made from inside or by the driver from outside; `reason`: why not. */
  readonly cgroups: { readonly made: boolean; readonly reason: string };
  readonly bots: readonly BotObservation[];
  /** Names of all bot directories there are, also of bots not applied since supervisord started. */
  readonly directories: readonly string[];
  /** Bots of an earlier life of the container that were not applied since, and by what generation it knows them. */
  readonly dormant: readonly DormantBot[];
  /** Names of all services that have kept something here, whether or not anybody wants them now. */
  readonly serviceDirectories: readonly string[];
}

export interface DormantBot {
  readonly bot: string;
  readonly slot: number;
  readonly generation: number;
}

/** A preloaded parent of bots. Normally one; another while bots of an older template or app are still applied. */
export interface ZygoteObservation {
  /** Hash of what it is made from. */
  readonly key: string;
  /** `failed`: bots are executed instead, and it is tried again with backoff. */
  readonly state: 'starting' | 'ready' | 'failed';
  readonly pid: number | null;
  /** Why it failed; empty otherwise. */
  readonly reason: string;
  readonly python: string;
  readonly modules: number;
  readonly immortal: boolean;
  readonly merge: boolean;
  /** What is worth knowing though it works: modules of the preload list that are not there, immortality or merging refused. */
  readonly notes: readonly string[];
  /** Times it was started, and bots forked from the present one. */
  readonly starts: number;
  readonly forks: number;
  readonly memory: MemorySample | null;
}

export interface WaitResult {
  readonly incarnation: string;
  readonly cursor: number;
  /** Bots that changed since the cursor; empty after the time ran out. */
  readonly changed: readonly string[];
}

export interface LogChunk {
  /** Changes when the log was rotated: follow from offset 0 of the new file. */
  readonly file: string;
  /** Of the first byte of `data`: may lie up to three bytes after the one asked for, where a whole character begins. */
  readonly offset: number;
  /** Where to go on reading. Not offset plus the length of `data`: bytes that are no UTF-8 are replaced. */
  readonly next: number;
  readonly size: number;
  readonly data: string;
}

export interface ArchiveInfo {
  readonly archive: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** An archive with what was found while it was packed. Of what is wrong only some is listed. */
export interface BackupInfo extends ArchiveInfo {
  readonly files: number;
  readonly unpackedBytes: number;
  /** SQLite databases, each as of one moment. */
  readonly databases: number;
  /** Databases that SQLite does not find whole: they are in it as they are. */
  readonly damaged: readonly Trouble[];
  readonly damagedCount: number;
  /** What is not in it. */
  readonly skipped: readonly Trouble[];
  readonly skippedCount: number;
}

/** Something in a bot's directory, and why it is not as it should be. */
export interface Trouble {
  readonly path: string;
  readonly why: string;
}

/** What is to take the place of a bot's directory: an archive that was sent under the name `upload`. */
export interface RestoreOrder {
  readonly upload: string;
  readonly sha256: string;
  /** Of everything unpacked. */
  readonly maxBytes: number;
  /** Take damaged databases as well, and leave out links that lead out of it and what is no file. */
  readonly tolerate: boolean;
}

export interface RestoredInfo {
  readonly files: number;
  readonly databases: number;
  readonly damaged: readonly Trouble[];
}
