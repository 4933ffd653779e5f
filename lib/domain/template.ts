import type { BackupRule } from './backup-rule.ts';
import type { Discovery } from './discovery.ts';
import type { Mode } from './mode.ts';
import type { MoveRule } from './move-rule.ts';

/**
 * What a kind of bot is. Strings may hold placeholders `{{id}} {{owner}} {{port}} {{host}} {{desired}} {{secret.NAME}}
 * {{basic.USER.SECRET}} {{service.NAME.run}}`.
 */
export interface Template {
  readonly name: string;
  /** Hash of the content, so a change of the template is visible on every bot made from it. */
  readonly version: string;
  readonly description: string;
  /** Image of the container on drivers that have images; null where the template only runs on the process driver. */
  readonly image: string | null;
  /** How its bots live, where nobody says otherwise. */
  readonly mode: Mode;
  /** Of containers that hold one bot alone. Image null: as those of pools. */
  readonly legacy: { readonly image: string | null };
  /** Argument list; a bot's own `args` are appended. Never passed through a shell. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Directories made in the bot's directory before the first start. */
  readonly directories: readonly string[];
  /** Files written on every apply (`overlay`) or only when absent (`seed`, so an owner's file wins). */
  readonly files: readonly TemplateFile[];
  /** Files a bot must bring, checked when it is created, so that a missing one is an error at the door and not a crash loop. */
  readonly requiredFiles: readonly string[];
  /** Random secrets made once per bot; `bytes` of entropy, written as base64url. */
  readonly secrets: Readonly<Record<string, { readonly bytes: number }>>;
  readonly readiness: Readiness;
  readonly checks: readonly HealthCheck[];
  /** Seconds between two rounds of `checks` for one bot, and failures in a row before the bot counts as unhealthy. */
  readonly checkEverySeconds: number;
  readonly failureThreshold: number;
  /**
   * What a ready bot may say of itself (STATUS= on its notify socket, whole line) that its owner should know, and the
   * sentence that tells. Shown, never acted on: the owner may have wanted it.
   */
  readonly notices: Readonly<Record<string, string>>;
  readonly stop: StopRule;
  readonly backoff: Backoff;
  readonly limits: BotLimits;
  /** HTTP calls to the bot that carry out a desired state without a restart. Without `pause` the template cannot pause. */
  readonly control: { readonly pause?: HttpCall; readonly resume?: HttpCall };
  /** What the proxy adds to a request it passes on, so that an owner needs no password of the bot. */
  readonly proxy: {
    /** Whether anybody may visit a bot by its host name, without a token. Never while it waits in the reserve. */
    readonly public: boolean;
    readonly headers: Readonly<Record<string, string>>;
    readonly query: Readonly<Record<string, string>>;
  };
  /** Who may share a container: everybody of the template, or only bots of one owner. */
  readonly isolation: 'template' | 'owner';
  /** Bots per container; null takes MAX_BOTS_PER_CONTAINER. */
  readonly capacity: number | null;
  /** Null: bots of this template are not handed out on lease. */
  readonly lease: LeaseRule | null;
  /** Null: each bot is executed on its own and shares nothing. */
  readonly prefork: Prefork | null;
  /** By name: programs that run once in each container, for all its bots. */
  readonly services: Readonly<Record<string, Service>>;
  readonly backup: BackupRule;
  readonly move: MoveRule;
  /** Null: nothing of old is looked for. */
  readonly discovery: Discovery | null;
  /** Null: its bots may be moved at any time. */
  readonly holdBack: HoldBack | null;
}

/** Asks a running bot whether it is a good time to move it: when an upgrade, a drain or a consolidation would. */
export interface HoldBack {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Top-level fields of its JSON answer that equal these when it may go. */
  readonly json: Readonly<Record<string, string>>;
  /** What is so when they do not, to follow the bot's name. */
  readonly why: string;
}

/**
 * A program that is started before the bots of its container and stopped after them. In its own strings it is told where it is by
 * `{{service.dir}}` (its data) and `{{service.run}}` (its sockets, which the container's bots reach); no bot is known there.
 */
export interface Service {
  /** Argument list, never passed through a shell. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Written into its directory before each start. */
  readonly files: readonly TemplateFile[];
  readonly readiness: ServiceReadiness;
  readonly stop: StopRule;
  readonly backoff: Backoff;
  readonly limits: BotLimits;
  /**
   * What makes room for a bot, before its process is started the first time after each change of it: so it must not mind
   * what is there already. Run as the service's user in its directory; here and below, strings are filled in for the bot.
   */
  readonly provision: readonly ExecStep[];
  /** What takes it away again when the bot is removed, as the service's user. May be repeated. */
  readonly deprovision: readonly ExecStep[];
  /** What copies the bot's data out of the service before its directory is archived; as the bot's user in the bot's directory. */
  readonly archive: readonly ExecStep[];
}

/** When a started service counts as up, as for bots. `socket`: it accepts connections on a Unix socket of its own. */
export type ServiceReadiness =
  | (ServiceDeadlines & { readonly kind: 'notify' | 'process' })
  | (ServiceDeadlines & { readonly kind: 'socket'; readonly path: string });

export type ServiceDeadlines = Pick<Readiness, 'startupSeconds' | 'watchdogSeconds'>;

/**
 * How bots are forked from one preloaded parent (the zygote) in each container, so that they share its memory. Whatever
 * stands in the way, a bot is executed in the ordinary way instead, and the reason is told.
 */
export interface Prefork {
  /** `module:function` that the command's script would call; called without arguments, its result is the exit status. */
  readonly entry: string;
  /** Python interpreter of the zygote, looked up on the bots' PATH. Must be the one the command runs under. */
  readonly python: string;
  /** Modules that the zygote imports, in this order. */
  readonly preload: readonly string[];
  /** Python source with a function `warmup()` that the zygote calls once after the imports. */
  readonly warmup: string | null;
  /** Environment of the zygote: what must be set before the imports. Without placeholders, because it knows no bot. */
  readonly env: Readonly<Record<string, string>>;
  /** Ask the kernel to merge equal pages (KSM). Saves more, costs CPU, and lets a bot time whether another has an equal page. */
  readonly merge: boolean;
  /** Immortal reference counts (Python 3.12 and later), so that looking at an object does not copy its page. */
  readonly immortal: boolean;
}

/** How bots of a template are handed out for a time. */
export interface LeaseRule {
  readonly ttlSeconds: number;
  /** Longest from acquire to end, extensions included. */
  readonly maxTtlSeconds: number;
  /** Leases one owner may hold at a time; null: any number. */
  readonly perOwner: number | null;
  /** What the holder must know to get in, such as a password: shown to nobody else, and only while the lease lasts. */
  readonly access: Readonly<Record<string, string>>;
  readonly reserve: ReserveRule;
  /**
   * What cleans a stopped bot after a lease, beside the processes, shared memory and files elsewhere that are always cleared
   * away; null: it is deleted and another made.
   */
  readonly reset: ResetRule | null;
}

/** Null: the setting of that name. */
export interface ReserveRule {
  readonly target: number | null;
  /** Where it is another number; 0 also while a window is open. */
  readonly locations: Readonly<Record<string, number>>;
  /** Refilled to the target when fewer than this are left. */
  readonly min: number | null;
  readonly batchSize: number | null;
  readonly batchSpacingSeconds: number | null;
  /** Other targets at certain times. */
  readonly windows: readonly ReserveWindow[];
}

export interface ReserveWindow {
  /** When it opens: a cron expression of five fields, in the supervisor's time zone. */
  readonly cron: string;
  readonly minutes: number;
  readonly target: number;
}

/** Run in order as the slot's user in the bot's directory; the first that fails makes the slot unfit. */
export interface ResetRule {
  readonly steps: readonly ResetStep[];
  /** Must prove it clean: each has to succeed. */
  readonly verify: readonly ExecStep[];
}

export type ResetStep =
  | ExecStep
  /** Empties the directory but for these paths. */
  | { readonly kind: 'clear'; readonly keep: readonly string[] };

export interface ExecStep {
  readonly kind: 'exec';
  readonly command: readonly string[];
  /** Given to its standard input: SQL for a client, for example. */
  readonly stdin: string;
  readonly timeoutSeconds: number;
}

export interface TemplateFile {
  readonly path: string;
  readonly mode: number;
  readonly when: 'always' | 'absent';
  /** Text, or a JSON value in which a string that is just one placeholder takes the placeholder's own type. */
  readonly content: { readonly text: string } | { readonly json: unknown };
}

/** When a started process counts as up. Watched inside the container, so it works while the orchestrator is down. */
export interface Readiness {
  /** `notify`: READY=1 on its notify socket. `listen`: the bot itself listens on its port. `process`: it is alive. */
  readonly kind: 'notify' | 'listen' | 'process';
  /** Deadline from start to ready; past it the process is ended and tried again with backoff. */
  readonly startupSeconds: number;
  /** Longest silence between two WATCHDOG=1 once ready; null switches it off. */
  readonly watchdogSeconds: number | null;
}

export type HealthCheck =
  | { readonly kind: 'tcp'; readonly timeoutSeconds: number }
  | {
      readonly kind: 'http';
      readonly timeoutSeconds: number;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly status: number;
      /** Top-level fields of the JSON answer that must equal these (after placeholders): the identity check. */
      readonly json: Readonly<Record<string, string>>;
    };

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface StopRule {
  readonly signal: string;
  /** Seconds between the signal and SIGKILL to the whole process group. */
  readonly graceSeconds: number;
}

/** Capped exponential backoff with jitter, for ever. A run of `healthySeconds` starts it anew. */
export interface Backoff {
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly healthySeconds: number;
}

/** Null: no limit. */
export interface BotLimits {
  /** Of address space with data (RLIMIT_DATA). */
  readonly memoryBytes: number | null;
  /** Of memory in use, its part of shared pages counted in proportion: warned at nine tenths, restarted gracefully above. */
  readonly pssBytes: number | null;
  /** Of its directory: warned at nine tenths, above it held stopped until there is room. No single file may grow beyond. */
  readonly diskBytes: number | null;
  /** 1 to 10,000, where 100 is an equal share; works where there are cgroups. */
  readonly cpuWeight: number;
  readonly openFiles: number | null;
  readonly processes: number | null;
  /** 0 to 19; higher is kinder to the neighbours. */
  readonly nice: number;
}

/** Longest time that the steps of a reset may take together. */
export function resetSeconds({ steps, verify }: ResetRule): number {
  return stepSeconds([...steps, ...verify]);
}

/** Longest time that steps may take one after the other. */
export function stepSeconds(steps: readonly ResetStep[]): number {
  return steps.reduce((sum, step) => sum + (step.kind === 'exec' ? step.timeoutSeconds : 0), 0);
}
