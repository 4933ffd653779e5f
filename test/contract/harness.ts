import type { BotObservation, BotSpec, ServiceObservation, ServiceSpec } from '../../lib/domain/agent.ts';
import type { ContainerRecord, ContainerSpec } from '../../lib/domain/container.ts';
import { BunkhouseError, type ErrorCode } from '../../lib/domain/errors.ts';
import type { Agent, Driver } from '../../lib/drivers/driver.ts';

/** One machine with a driver on it. Made once per suite, because a real one is slow. */
export interface DriverHarness {
  readonly driver: Driver;
  /** First of `PORTS` free ports in a row. */
  readonly basePort: number;
  /** Image that the driver's containers need; null where there are none. */
  readonly image: string | null;
  /** A bot that is soon ready, serves until it gets SIGTERM and then ends at once, tried again within a second. */
  fixtureSpec(bot: string, overrides: Partial<BotSpec> & Pick<BotSpec, 'port' | 'slot'>): BotSpec;
  /** A shared service that is soon ready, says something, and ends at once at SIGTERM; tried again within a second. `directory`: of the container. */
  fixtureService(name: string, directory: string): ServiceSpec;
  /** SIGKILL to the process of a service. */
  killService(container: string, service: ServiceObservation): Promise<void>;
  /** SIGKILL to the bot's process, from outside. */
  kill(container: string, bot: BotObservation): Promise<void>;
  /** Whether a process that the bot had still lives. */
  isAlive(container: string, bot: BotObservation): Promise<boolean>;
  /** Takes a port as a program outside the pool would; returns the release. */
  occupy(port: number): Promise<() => Promise<void>>;
  /** Another driver on the same machine: of an orchestrator that was started again, or of another installation. */
  open(installation: 'same' | 'other'): Driver;
  /** Removes everything that is left, the harness's own included. */
  dispose(): Promise<void>;
}

export const PORTS = 200;
export const CAPACITY = 3;

/** What a test works with: containers of its own, taken away after it. */
export interface Contract {
  readonly harness: DriverHarness;
  /** A record with a name and ports that no other test has. */
  newRecord(): ContainerRecord;
  /** A new running container and the way into it. */
  running(): Promise<{ readonly record: ContainerRecord; readonly agent: Agent }>;
  connect(name: string, driver?: Driver): Promise<Agent>;
}

export const noLimits = { memoryBytes: null, cpus: null, processes: null };
export const specOf = (record: ContainerRecord): ContainerSpec => ({ record, limits: noLimits });

/** The code of the error that the work must fail with. */
export async function codeOf(work: Promise<unknown>): Promise<ErrorCode | string> {
  try {
    await work;
  } catch (error) {
    return error instanceof BunkhouseError ? error.code : `not a BunkhouseError: ${error}`;
  }
  return 'no error';
}

/** The bot, once it is in that state. */
export async function readBot(
  agent: Agent,
  name: string,
  state: BotObservation['state'],
): Promise<BotObservation | null> {
  const bot = (await agent.observe()).bots.find((candidate) => candidate.bot === name);
  return bot?.state === state ? bot : null;
}
