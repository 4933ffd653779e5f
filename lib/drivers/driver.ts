import type {
  AgentObservation,
  ArchiveInfo,
  BackupInfo,
  BotObservation,
  BotSpec,
  ListenerObservation,
  LogChunk,
  RestoredInfo,
  RestoreOrder,
  WaitResult,
} from '../domain/agent.ts';
import type { ContainerObservation, ContainerSpec } from '../domain/container.ts';
import type { ResetRule } from '../domain/template.ts';

/** What a driver can do on this machine. Asked once at start; never guessed from a failure. */
export interface Capabilities {
  readonly driver: string;
  /** Each slot gets a uid of its own. */
  readonly isolatesUsers: boolean;
  /** Containers have images and limits of their own. */
  readonly images: boolean;
  readonly notes: readonly string[];
}

/** A change somebody made to a container, seen from outside. A hint to look, not a fact to act on. */
export interface DriverEvent {
  readonly container: string;
  readonly what: 'started' | 'died' | 'removed' | 'out-of-memory';
}

/** What one kind of driver has in common for all its containers. */
export type Site = Pick<Driver, 'name' | 'bindHost'>;

/**
 * Runs containers. Every method may throw DRIVER_UNAVAILABLE when the engine cannot be asked, and DEADLINE when it did
 * not answer in time; neither says anything about the container.
 */
export interface Driver {
  readonly name: string;
  /** Throws DRIVER_UNAVAILABLE with what to do about it when the engine is not fit for use. */
  capabilities(): Promise<Capabilities>;
  /** All containers of this installation, running or not. Complete or it throws: absence from the list is a proof. */
  list(): Promise<readonly ContainerObservation[]>;
  /**
   * Create and start. The same record again is a no-op that makes sure it runs. Data of an earlier container of that
   * name is kept. Throws PORT_IN_USE (and leaves nothing behind) when a port of the range is taken, CONFLICT when the name belongs to something else,
   * NOT_FOUND when the image is missing, AGENT_UNAVAILABLE (nothing left behind) when it starts but does not answer.
   */
  create(spec: ContainerSpec): Promise<void>;
  /** Start a stopped container; no-op when it runs. Throws NOT_FOUND, AGENT_UNAVAILABLE when it does not answer. */
  start(name: string): Promise<void>;
  /** Stop all its processes, gracefully first; resolves only when they are proven dead. Throws NOT_FOUND. */
  stop(name: string, graceSeconds: number): Promise<void>;
  /** Remove the container and its data. No-op when absent. Throws CONFLICT while it runs. */
  remove(name: string): Promise<void>;
  /** The way into a running container. Throws NOT_FOUND or AGENT_UNAVAILABLE. */
  connect(name: string): Promise<Agent>;
  /** Ports of the range that something outside the pool has bound, by bind test. */
  portsInUse(basePort: number, count: number): Promise<readonly number[]>;
  /** Address that bots bind inside containers of this driver. */
  readonly bindHost: string;
  /** Calls back on every change until `signal` aborts; survives reconnects. Missed events are made good by `list`. */
  watch(onEvent: (event: DriverEvent) => void, signal: AbortSignal): void;
  close(): Promise<void>;
}

/**
 * The supervisord plugin of one container, spoken to. Every method may throw AGENT_UNAVAILABLE or DEADLINE: then nothing
 * is known. All methods may be repeated safely.
 */
export interface Agent {
  observe(): Promise<AgentObservation>;
  /**
   * Put or change one bot atomically; the services it names come with it. Its process is started when they are up and have
   * made room for it, and stays when one of them ends. A changed definition of a service is taken when that starts anew:
   * by itself, or as soon as no bot runs. Throws STALE_GENERATION (`details.generation`: the newest
   * seen) when a newer one was seen or the bot was removed in this one, CONFLICT when the slot is another's, INVALID.
   */
  apply(spec: BotSpec): Promise<BotObservation>;
  /**
   * Remove a bot, its directory and its room in services. No-op when absent. Throws CONFLICT while its process lives,
   * STALE_GENERATION, SERVICE_FAILED (nothing is removed) when a service of it is not up or a step fails.
   */
  remove(bot: string, generation: number): Promise<void>;
  /** Resolves the moment something changed after `cursor`, or after `seconds`. Throws AGENT_UNAVAILABLE when aborted. */
  wait(cursor: number, seconds: number, signal?: AbortSignal | undefined): Promise<WaitResult>;
  /** Asked of the kernel now, not remembered. Throws NOT_FOUND. */
  listener(bot: string): Promise<ListenerObservation>;
  /** Bytes of the bot's output. Negative offset counts from the end. Throws NOT_FOUND. */
  log(bot: string, offset: number, length: number): Promise<LogChunk>;
  /** The same of a service's. */
  serviceLog(service: string, offset: number, length: number): Promise<LogChunk>;
  /**
   * Clean a stopped bot: end what is left of its processes, remove what its user left outside its directory (temporary
   * files, shared memory), run the steps in order as its user in its directory, then the checks. Throws RESET_FAILED (with
   * which and what it printed) at the first that fails or takes too long, CONFLICT while its process lives, NOT_FOUND when it was not
   * applied since its container started, STALE_GENERATION, SERVICE_FAILED (nothing is done) while a service of it is not up. Its output, archives and last exit are forgotten. Broken off anywhere, it may be repeated.
   */
  reset(bot: string, generation: number, rule: ResetRule): Promise<void>;
  /**
   * Pack the directory of a stopped bot, what it keeps in services copied there first. Throws NOT_FOUND, CONFLICT while its
   * process lives, SERVICE_FAILED when a service of it is not up or a copy fails.
   */
  archive(bot: string): Promise<ArchiveInfo>;
  /**
   * Pack the directory of a bot, running or not: its SQLite databases each as of one moment, other files as they are. Takes the place of
   * earlier archives of the bot. Throws NOT_FOUND, CONFLICT while its process lives when it keeps data in a service that is copied out,
   * SERVICE_FAILED when that fails, UNSUPPORTED when the container's plugin is too old.
   */
  backup(bot: string): Promise<BackupInfo>;
  /** A piece (at most 256 KiB) of an archive to restore. In order; offset 0 begins anew. Throws NOT_FOUND when what comes before it is not there. */
  sendArchive(bot: string, upload: string, offset: number, data: Uint8Array): Promise<void>;
  /**
   * Put what was sent in place of a stopped bot's directory, in one step; its databases are checked before. Throws INVALID
   * (nothing has changed) when it is damaged, leads out of the directory or is too large, NOT_FOUND when it was not sent or the bot has no directory,
   * CONFLICT while its process lives, STALE_GENERATION, UNSUPPORTED. Broken off anywhere, the directory is the old or the new one.
   */
  restore(bot: string, generation: number, order: RestoreOrder): Promise<RestoredInfo>;
  /** Whether a bot's directory is what was sent under that name, also when nobody heard the answer. Waits for what is under way. Throws UNSUPPORTED. */
  restored(bot: string, upload: string): Promise<boolean>;
  fetchArchive(archive: string, offset: number, length: number): Promise<Uint8Array>;
  discardArchive(archive: string): Promise<void>;
  close(): Promise<void>;
}
