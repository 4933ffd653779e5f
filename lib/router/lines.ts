import { Agent, type ClientRequestArgs } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PoolApi } from '../services/pool-api.ts';
import type { Passage } from './bot-path.ts';

/** Shorter than servers keep idle connections, so that they rarely end one just as it is taken. Many say how long they do. */
const IDLE_MS = 4_000;
const MOST_IDLE = 64;
/** Bots that are not called any more are forgotten when there are so many. */
const MANY = 1_000;

type Prove = PoolApi['prove'];

/** Connections to the bots. Nothing is said on one before it is proven who is at its other end. */
export class Lines {
  readonly #prove: Prove;
  readonly #kept = new Map<string, { readonly life: string; readonly agent: ProvenAgent }>();

  constructor(prove: Prove) {
    this.#prove = prove;
  }

  /** A connection of its own, for what cannot be sent again when the bot ends an idle one that very moment. */
  fresh({ path, target }: Passage): Agent {
    return new ProvenAgent(async () => this.#prove(path.bot, target.life), 0);
  }

  /** Connections that are kept for the next request to the same process of the bot. */
  kept({ path: { bot }, target: { life } }: Passage): Agent {
    const known = this.#kept.get(bot);
    if (known?.life === life) return known.agent;
    known?.agent.retire();
    if (this.#kept.size >= MANY) this.#forgetIdle();
    const agent = new ProvenAgent(async () => this.#prove(bot, life), MOST_IDLE);
    this.#kept.set(bot, { life, agent });
    return agent;
  }

  close(): void {
    for (const { agent } of this.#kept.values()) agent.retire();
    this.#kept.clear();
  }

  #forgetIdle(): void {
    for (const [bot, { agent }] of this.#kept) if (agent.isIdle) this.#kept.delete(bot);
  }
}

class ProvenAgent extends Agent {
  /** Never throws at once, as for a bot that is deleted by now: nobody would catch that, and it would end us. */
  readonly #prove: () => Promise<void>;

  constructor(prove: () => Promise<void>, maxFreeSockets: number) {
    // Asked to keep the connection, a bot that answers before the body is through does not slam it shut over its answer.
    super({ keepAlive: true, maxFreeSockets, timeout: IDLE_MS });
    this.#prove = prove;
  }

  get isIdle(): boolean {
    return Object.keys(this.sockets).length === 0;
  }

  /** Ends idle connections; what is under way ends by itself. */
  retire(): void {
    for (const idle of Object.values(this.freeSockets)) for (const socket of idle ?? []) socket.destroy();
  }

  override createConnection(
    { host, port }: ClientRequestArgs,
    done?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const socket: Socket = connect({ host: host ?? '127.0.0.1', port: Number(port), noDelay: true });
    const fail = (error: Error): void => {
      socket.destroy();
      done?.(error, socket);
    };
    socket.once('error', fail);
    socket.once('connect', () => {
      this.#prove().then(() => {
        // Whoever is handed a connection that is gone already would wait for ever for something to happen on it.
        if (socket.destroyed) return fail(new Error('it hung up'));
        socket.removeListener('error', fail);
        done?.(null, socket);
      }, fail);
    });
    // It comes by the callback.
    return undefined;
  }
}
