import type { AgentObservation } from '../domain/agent.ts';
import type { ContainerObservation } from '../domain/container.ts';
import type { ErrorCode } from '../domain/errors.ts';
import type { ReservePlace } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import type { Step } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';

/** An observation or the reason why there is none. Unknown is never read as absent. */
export type Seen<T> =
  | { readonly kind: 'seen'; readonly value: T }
  | { readonly kind: 'unknown'; readonly reason: string };

/** What the health checks found about one life of a bot's process. Times in ms since the epoch. */
export interface BotHealth {
  /** `startedAt` of the process that was checked; another process has proven nothing yet. */
  readonly startedAt: number;
  /** Whether this process ever proved who it is. */
  readonly passed: boolean;
  /** Failed rounds in a row. */
  readonly failures: number;
  readonly reason: string;
}

export interface Hold {
  /** By `monotonic`. */
  readonly until: number;
  readonly reason: string;
}

/** Of a lane: the last one, and how many there were in a row. */
export interface Failure {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly count: number;
}

export interface PoolLimits {
  /** Whether new bots share containers. */
  readonly poolMode: boolean;
  /** Prefix of container names. */
  readonly instanceName: string;
  readonly maxBotsPerContainer: number;
  readonly basePort: number;
  /** Address bots bind in containers of a location. */
  readonly bindHost: (location: string) => string;
  /** Bots moved in an hour to put containers together; 0: none. */
  readonly consolidateMovesPerHour: number;
}

/** What the reserve of a template in a location should be now. Times in ms since the epoch. */
export interface ReserveTarget extends ReservePlace {
  readonly target: number;
  readonly min: number;
  /** Of all leasable bots of the template together, wherever they are, those on lease included. */
  readonly max: number;
  readonly batchSize: number;
  /** Refilling waits until then, by `monotonic`, and why. */
  readonly notBefore: number;
  readonly why: string;
  /** Since it fell below its minimum, until it is full again. */
  readonly refilling: boolean;
}

/** Everything a decision may depend on. */
export interface World {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Milliseconds by a clock that nobody sets: whatever is held back is so by this one. */
  readonly monotonic: number;
  readonly state: State;
  readonly templates: ReadonlyMap<string, Template>;
  /** By name; complete when seen. */
  readonly listing: Seen<ReadonlyMap<string, ContainerObservation>>;
  /** Locations that nobody can look into now, and why. Their containers are unknown, or not in the listing at all. */
  readonly unreachable: ReadonlyMap<string, string>;
  /** By container name; there is one for each running container. */
  readonly agents: ReadonlyMap<string, Seen<AgentObservation>>;
  readonly health: ReadonlyMap<string, BotHealth>;
  /** Ports found taken by somebody outside the pool. */
  readonly blockedPorts: ReadonlySet<number>;
  /** Lanes with a step under way. */
  readonly busy: ReadonlySet<string>;
  /** Lanes that failed and are left alone for a while. */
  readonly holds: ReadonlyMap<string, Hold>;
  /** Of the same lanes. */
  readonly failures: ReadonlyMap<string, Failure>;
  /** Bots whose unhealthiness was answered by a restart lately. */
  readonly restartHolds: ReadonlyMap<string, Hold>;
  readonly limits: PoolLimits;
  /** By reserveKey. */
  readonly reserves: ReadonlyMap<string, ReserveTarget>;
  /** Bots that warm up or are on lease and cannot be reached by their host names yet, and why. */
  readonly shut: ReadonlyMap<string, string>;
  /** What bots that are to move answered to whether they may: null, or why they are held back. */
  readonly holdBacks: ReadonlyMap<string, string | null>;
  /** Milliseconds since the epoch by a clock that does not step while the supervisor runs: leases end by it. */
  readonly leaseClock: number;
}

export interface Held {
  readonly target: string;
  readonly why: string;
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly held: readonly Held[];
}

export const NOTHING: Plan = { steps: [], held: [] };

export function joinPlans(plans: readonly Plan[]): Plan {
  return { steps: plans.flatMap((plan) => plan.steps), held: plans.flatMap((plan) => plan.held) };
}
