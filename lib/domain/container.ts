/** Labels are the truth about containers. The only place their names are written. */
export const LABEL = {
  /** Which Bunkhouse installation the container belongs to: two may share one engine. */
  instance: 'bunkhouse.instance',
  container: 'bunkhouse.container',
  pool: 'bunkhouse.pool',
  generation: 'bunkhouse.generation',
  schema: 'bunkhouse.schema',
  basePort: 'bunkhouse.base-port',
  capacity: 'bunkhouse.capacity',
} as const;
export const LABEL_SCHEMA = '1';

/** A container as the store keeps it: made durable before the driver is asked to create it. */
export interface ContainerRecord {
  readonly name: string;
  /** `template/group/location` */
  readonly pool: string;
  /** Slots 0 … capacity-1, on ports basePort … basePort+capacity-1. */
  readonly capacity: number;
  readonly basePort: number;
  readonly generation: number;
  readonly image: string | null;
  /** Marked for removal by a cleanup; no bot is placed here any more. */
  readonly removing: boolean;
  /** Made for this bot alone. */
  readonly soleBot: string | null;
  /** Set: its bots move out, and none is placed here any more. */
  readonly emptying: Emptying | null;
  /** Whether it ever heard of a bot; until then nothing of any can be in it. */
  readonly entered: boolean;
  readonly createdAt: string;
}

/** Why a container is emptied, since when (ISO 8601, UTC). */
export type Emptying =
  | { readonly why: 'upgrade' | 'consolidate'; readonly since: string }
  | {
      /** For its maintenance: it stays, empty and closed. */
      readonly why: 'drain';
      readonly since: string;
      /** Bots on their way at once, at the most. */
      readonly surge: number;
      /** Bots that their template holds back are moved all the same. */
      readonly force: boolean;
    };

/** Containers in which no bot is placed any more. */
export function closedContainers(containers: Readonly<Record<string, ContainerRecord>>): ReadonlySet<string> {
  return new Set(
    Object.values(containers)
      .filter(({ emptying, removing }) => emptying !== null || removing)
      .map(({ name }) => name),
  );
}

/** A container that is not in the store yet: it gets its generation there. */
export type NewContainer = Omit<ContainerRecord, 'generation'>;

/** What a driver is asked to create: the record and the limits of the whole container. */
export interface ContainerSpec {
  readonly record: ContainerRecord;
  readonly limits: ContainerLimits;
}

/** Null: no limit. */
export interface ContainerLimits {
  readonly memoryBytes: number | null;
  readonly cpus: number | null;
  readonly processes: number | null;
}

/** A container as a driver sees it. A container that is not in a successful listing is positively absent. */
export interface ContainerObservation {
  readonly name: string;
  readonly pool: string;
  readonly generation: number;
  readonly capacity: number;
  readonly basePort: number;
  /** `stopped` is a positive proof that none of its processes is alive. */
  readonly status: 'running' | 'stopped' | 'unknown';
  /** Address at which its bots' ports are reached from the orchestrator. */
  readonly host: string;
  readonly reason: string;
}

export function slotPort(container: Pick<ContainerRecord, 'basePort'>, slot: number): number {
  return container.basePort + slot;
}
