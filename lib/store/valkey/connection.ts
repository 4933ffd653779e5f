import { readFile } from 'node:fs/promises';
import { Redis } from 'iovalkey';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import type { Clock } from '../../util/clock.ts';
import { withDeadline } from '../../util/deadline.ts';
import type { Logger } from '../../util/logger.ts';
import { nameOf, type ValkeyLocation } from './location.ts';

const CONNECT_MS = 5000;
const RECONNECT_MS = 200;
/** Large answers and the first look at a server. */
const PATIENT_MS = 60_000;

/** What a server says to a command it did not do. Anything else that is thrown leaves open whether it was done. */
export class Refusal extends Error {}

/**
 * One connection, made anew when it breaks. Nothing is sent again by itself: whoever asked must know what may be asked
 * twice.
 */
export class Connection {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #deadlineMs: number;

  /** Throws STORE_UNAVAILABLE with what to do. */
  static async open(location: ValkeyLocation, clock: Clock, log: Logger): Promise<Connection> {
    const redis = new Redis({
      host: location.host,
      port: location.port,
      db: location.db,
      ...(location.tls && { tls: {} }),
      ...(location.username !== null && { username: location.username }),
      ...(await passwordOf(location)),
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      retryStrategy: () => RECONNECT_MS,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      connectionName: 'bunkhouse',
    });
    let trouble: unknown;
    redis.on('error', (error: unknown) => {
      trouble = error;
      log.debug({ error: messageOf(error) }, 'the connection to the state broke');
    });
    try {
      await withDeadline(clock, CONNECT_MS, 'the server', redis.connect());
      return new Connection(redis, clock, location.leaseMs / 4);
    } catch (error) {
      redis.disconnect();
      const next = 'See that it runs and that STATE_URL is right; `bunkhouse doctor` looks too.';
      const message = `The state at ${nameOf(location)} cannot be reached: ${messageOf(trouble ?? error)}. ${next}`;
      throw new BunkhouseError('STORE_UNAVAILABLE', message, { cause: error, retryAfterSeconds: 5 });
    }
  }

  private constructor(redis: Redis, clock: Clock, deadlineMs: number) {
    this.#redis = redis;
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
  }

  /** Runs a script. Throws a Refusal, or another error when whether it ran is not known. */
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#ask(this.#deadlineMs, () => this.#redis.eval(script, keys.length, ...keys, ...args));
  }

  readHash(key: string): Promise<Readonly<Record<string, string>>> {
    return this.#ask(PATIENT_MS, () => this.#redis.hgetall(key));
  }

  readField(key: string, field: string): Promise<string | null> {
    return this.#ask(PATIENT_MS, () => this.#redis.hget(key, field));
  }

  /** A command that only asks. */
  ask(command: string, ...args: string[]): Promise<unknown> {
    return this.#ask(PATIENT_MS, () => this.#redis.call(command, ...args));
  }

  close(): void {
    this.#redis.disconnect();
  }

  // Private

  async #ask<T>(ms: number, work: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(this.#clock, ms, 'the server', work());
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError') throw new Refusal(error.message, { cause: error });
      // A connection on which an answer is missing is not waited for: what comes after it would wait as well.
      if (this.#redis.status === 'ready') this.#redis.disconnect(true);
      throw error;
    }
  }
}

// Private

async function passwordOf({ password, passwordFile }: ValkeyLocation): Promise<{ readonly password?: string }> {
  if (passwordFile === null) return password === null ? {} : { password };
  try {
    return { password: (await readFile(passwordFile, 'utf8')).trim() };
  } catch (error) {
    const message = `The password of the state cannot be read: ${messageOf(error)}. See passwordFile in STATE_URL.`;
    throw new BunkhouseError('STORE_UNAVAILABLE', message, { cause: error });
  }
}
