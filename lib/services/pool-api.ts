import type { LogChunk, MemorySample, ServiceObservation, Spawn, ZygoteObservation } from '../domain/agent.ts';
import type { BotState, Desired } from '../domain/bot.ts';
import type { Emptying } from '../domain/container.ts';
import type { BunkhouseEvent } from '../domain/events.ts';
import type { Addresses } from '../domain/hosts.ts';
import type { Mode } from '../domain/mode.ts';
import type { LegacyLife, MoveCause, MovePhase } from '../domain/move.ts';
import type { Actor } from '../domain/state.ts';
import type { BotLimits } from '../domain/template.ts';
import type { OnePerContainer } from './alone.ts';

/** What a request for a new bot says; already checked for form (ids, sizes, types) at the door. */
export interface CreateBot {
  readonly instanceId: string;
  /** Left out: DEFAULT_TEMPLATE. */
  readonly template?: string;
  /** Left out by an owner: the owner itself; by an admin: `admin`. */
  readonly owner?: string;
  readonly location?: string;
  readonly group?: string;
  /** Left out: as its template and POOL_MODE_ENABLED say. */
  readonly mode?: Mode;
  /** Relative path to content, base64. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly limits?: Partial<BotLimits>;
  readonly desired?: Desired;
}

/** Changes of a bot; a file set to null is dropped from the bot's own files. */
export interface ChangeBot {
  readonly files?: Readonly<Record<string, string | null>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly limits?: Partial<BotLimits>;
  readonly desired?: Desired;
}

/** Where a bot is to go; nothing said: to another container of its pool. */
export interface MoveBot {
  /** `pool`, `alone` (a container of its own), or the name of a container. */
  readonly to?: string;
  readonly location?: string;
}

export interface MoveView {
  readonly phase: MovePhase;
  /** Of the phase, ISO 8601. */
  readonly since: string;
  /** As a sentence's end: a container, `another container of its pool` … */
  readonly to: string;
  /** Its other place: where it is to go, and once it has arrived there, where it came from. */
  readonly other: string | null;
  /** Why it goes back to where it was; null: it does not. */
  readonly undone: string | null;
  readonly cause: MoveCause['kind'];
}

export interface PoolOptions {
  /** Of a bot whose request names none. */
  readonly defaultTemplate: string;
  readonly addresses: Addresses;
}

export type MemoryView = MemorySample;

/** What a bot takes now; null: not known (yet), or nothing of it is alive. */
export interface ResourcesView {
  readonly memory: MemoryView | null;
  /** Of the living process. */
  readonly cpuSeconds: number | null;
  readonly openFiles: number | null;
  readonly diskBytes: number | null;
  /** How the living process was started; `reason`: why it was executed although its template wants it forked. */
  readonly spawn: Spawn | null;
  /** What will soon be a reason; empty when all is well. */
  readonly warning: string;
}

/** A bot as the API shows it. Never files, environment or secrets. */
export interface BotView extends ResourcesView {
  readonly instanceId: string;
  readonly owner: string;
  readonly template: string;
  readonly pool: string;
  readonly mode: Mode;
  /** Why it has a container of its own; null: it has a slot in a shared one. */
  readonly legacy: LegacyLife | null;
  readonly container: string | null;
  readonly slot: number | null;
  readonly port: number | null;
  readonly pid: number | null;
  /** Where callers reach it: by host name, otherwise its path behind this server's proxy. */
  readonly url: string;
  readonly state: BotState;
  readonly desired: Desired;
  /** When the state was entered, ISO 8601; null when not known. */
  readonly since: string | null;
  readonly restarts: number;
  /** Last STATUS= it sent. */
  readonly status: string;
  /** Why it is not simply running; empty when it is. */
  readonly reason: string;
  readonly deleting: boolean;
  readonly createdAt: string;
  /** Names of the bot's own files. */
  readonly files: readonly string[];
  /** Null: it is on no way. */
  readonly move: MoveView | null;
}

export interface BotPage {
  readonly bots: readonly BotView[];
  /** Pass as `after` for the next page; null on the last. */
  readonly next: string | null;
}

export interface BotFilter {
  readonly owner?: string;
  readonly template?: string;
  readonly state?: BotState;
  readonly container?: string;
  readonly after?: string;
  /** 1 … 1000, default 200. */
  readonly limit?: number;
}

export interface AssignmentView {
  readonly instanceId: string;
  readonly isPooled: boolean;
  readonly mode: Mode;
  /** Why it has a container of its own; null when it has not. */
  readonly legacy: LegacyLife | null;
  readonly state: BotState;
  readonly desired: Desired;
  readonly connection: {
    readonly host: string;
    readonly port: number;
    /** As `url` of a BotView. */
    readonly url: string;
    readonly containerName: string;
    readonly poolId: string;
    readonly slot: number;
  } | null;
}

export interface ContainerView {
  /** Container name. */
  readonly id: string;
  readonly template: string;
  readonly group: string;
  readonly location: string;
  readonly driver: string;
  readonly containerName: string;
  readonly status: 'running' | 'stopped' | 'unknown' | 'creating' | 'removing';
  readonly reason: string;
  /** `legacy`: of one bot alone. */
  readonly mode: Mode;
  /** Why its bot is alone; null when it is shared, or empty. */
  readonly legacy: LegacyLife | null;
  /** Why its bots move out and none comes in; null: it is open. */
  readonly emptying: Emptying['why'] | null;
  readonly image: string | null;
  readonly botsCount: number;
  readonly capacity: number;
  readonly utilizationPercent: number;
  /** Of supervisord, zygotes, services and bots together. */
  readonly memory: MemoryView | null;
  readonly zygotes: readonly ZygoteObservation[];
  readonly services: readonly ServiceObservation[];
  /** Whether each bot has a control group of its own made from inside; null: not known. */
  readonly cgroups: { readonly made: boolean; readonly reason: string } | null;
  readonly bots: readonly SeatView[];
}

/** A bot as its container shows it. */
export interface SeatView extends ResourcesView {
  readonly instanceId: string;
  readonly slot: number;
  readonly port: number;
  readonly state: BotState;
}

export interface HealthSummary {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly pools: { readonly total: number; readonly running: number };
  readonly bots: Readonly<Record<BotState, number>>;
  /** ISO 8601 of the last sweep; null before the first. */
  readonly lastCheck: string | null;
}

/** Where this supervisor can have containers. */
export interface LocationView {
  readonly name: string;
  /** What the code stands for; null for a name of the operator's own. */
  readonly title: string | null;
  /** Taken when a request names none. */
  readonly default: boolean;
  readonly reachable: boolean;
  /** Why it cannot be reached; empty when it can. */
  readonly reason: string;
}

export interface PoolStatus {
  readonly poolMode: boolean;
  readonly locations: readonly LocationView[];
  readonly totalPools: number;
  readonly totalBots: number;
  readonly pools: readonly ContainerView[];
  /** Of all containers together. */
  readonly memory: MemoryView | null;
  /** What the same bots would cost one per container; null while no sample of that was taken. */
  readonly onePerContainer: OnePerContainer | null;
  readonly health: HealthSummary;
}

export interface Issue {
  readonly target: string;
  readonly problem: string;
}

export interface SweepReport {
  readonly timestamp: string;
  readonly pools: number;
  readonly bots: number;
  readonly issues: readonly Issue[];
  /** What the sweep set in motion, a sentence each. */
  readonly recoveryActions: readonly string[];
  readonly durationMs: number;
}

export interface CleanupReport {
  readonly removedPools: readonly string[];
  readonly archived: readonly string[];
  readonly kept: readonly { readonly id: string; readonly why: string }[];
}

export interface PlanView {
  /** What the next pass would do, a sentence each, in order. */
  readonly steps: readonly { readonly kind: string; readonly target: string; readonly sentence: string }[];
  /** What it would not do, and why. */
  readonly held: readonly { readonly target: string; readonly why: string }[];
}

/** Where the proxy sends a bot's requests. */
export interface RouteTarget {
  readonly host: string;
  readonly port: number;
  readonly location: string;
  /** Which of its processes it is: another one's connections are of no use. */
  readonly life: string;
  /** Added to each request, so that an owner needs no password of the bot. Secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
}

/**
 * All use cases, one method each: check, change the desired state, ask for a pass. HTTP, CLI and tests come in here.
 * Every method that names a bot throws NOT_FOUND for a bot the actor may not see, so that ids do not leak.
 */
export interface PoolApi {
  /** Throws INVALID (unknown template, missing required file), UNKNOWN_LOCATION, CONFLICT (id taken), FORBIDDEN (another owner). Durable when it resolves. */
  createBot(actor: Actor, request: CreateBot): Promise<BotView>;
  listBots(actor: Actor, filter: BotFilter): BotPage;
  getBot(actor: Actor, instanceId: string): BotView;
  changeBot(actor: Actor, instanceId: string, change: ChangeBot): Promise<BotView>;
  /** Marks it; it is stopped, archived, removed and forgotten by the passes that follow. Again is a no-op. */
  deleteBot(actor: Actor, instanceId: string): Promise<BotView>;
  /** Throws UNSUPPORTED when the template cannot pause. */
  setDesired(actor: Actor, instanceId: string, desired: Desired): Promise<BotView>;
  restartBot(actor: Actor, instanceId: string): Promise<BotView>;
  /** Moves it to another container; an owner may not. Throws FORBIDDEN, CONFLICT, UNSUPPORTED, BOT_UNAVAILABLE, INVALID. */
  moveBot(actor: Actor, instanceId: string, request: MoveBot): Promise<BotView>;
  assignment(actor: Actor, instanceId: string): AssignmentView;
  /** Throws BOT_UNAVAILABLE while its container cannot be reached. */
  log(actor: Actor, instanceId: string, offset: number, length: number): Promise<LogChunk>;
  /** The same of a container's shared service. Throws NOT_FOUND, AGENT_UNAVAILABLE. */
  serviceLog(container: string, service: string, offset: number, length: number): Promise<LogChunk>;
  /**
   * Throws BOT_UNAVAILABLE with the state when nobody proven to be the bot answers there now. `actor` null: somebody without a
   * token, who is UNAUTHORIZED unless the bot is public.
   */
  route(actor: Actor | null, instanceId: string): RouteTarget;
  /**
   * Throws BOT_UNAVAILABLE unless, at a moment after the call, this life of the bot and nobody else listens on its port. So whoever
   * was connected before is connected to the bot.
   */
  prove(instanceId: string, life: string): Promise<void>;
  /** Resolves with true as soon as it can be routed to, with false at once when it will not by itself, or when `signal` aborts. */
  untilRouted(instanceId: string, signal: AbortSignal): Promise<boolean>;
  /** Whether it is on its way to another container. */
  isMoving(instanceId: string): boolean;
  /** Whether anybody may visit it by its host name now. */
  isPublic(instanceId: string): boolean;
  locations(): readonly LocationView[];
  poolStatus(): PoolStatus;
  healthCheck(): Promise<SweepReport>;
  cleanup(dryRun: boolean): Promise<CleanupReport>;
  plan(): Promise<PlanView>;
  /** Events after `lastId` that are still kept, then live ones until `signal` aborts. */
  events(
    actor: Actor,
    lastId: number | null,
    signal: AbortSignal,
  ): AsyncIterable<{ readonly id: number; readonly at: string; readonly event: BunkhouseEvent }>;
  /** Whether the first pass after start is done and the driver answers. */
  ready(): { readonly ready: boolean; readonly reason: string };
}
