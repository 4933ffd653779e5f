import { Agent, request } from 'node:http';
import { sleep } from './support.ts';

export interface Failure {
  readonly at: number;
  readonly why: string;
  /** Its answer had begun: nobody can send the request again any more. */
  readonly cut: boolean;
}

/** What callers of one bot met. Milliseconds, by `performance.now`. */
export interface Met {
  requests: number;
  /** Answers other than 200 of the bot itself, and connections that broke. */
  readonly failures: Failure[];
  /** Longest wait for an answer. */
  longestMs: number;
  /** Longest time without an answer of the bot. */
  silentMs: number;
}

/** Asks each bot over and over, one request after the other, until stopped. An answer of another bot is a failure. */
export function startCallers(
  urlOf: (bot: string) => string,
  bots: readonly string[],
  { token, everyMs }: { readonly token: string; readonly everyMs: number },
): { readonly met: ReadonlyMap<string, Met>; stop(): Promise<void> } {
  const agent = new Agent({ keepAlive: true, maxSockets: bots.length * 2 });
  const met = new Map<string, Met>();
  let running = true;
  const call = async (bot: string): Promise<void> => {
    const mine: Met = { requests: 0, failures: [], longestMs: 0, silentMs: 0 };
    met.set(bot, mine);
    let answeredAt = performance.now();
    while (running) {
      const began = performance.now();
      const failure = await ask(agent, urlOf(bot), bot, token);
      const ended = performance.now();
      mine.requests += 1;
      mine.longestMs = Math.max(mine.longestMs, ended - began);
      if (failure === null) {
        mine.silentMs = Math.max(mine.silentMs, ended - answeredAt);
        answeredAt = ended;
      } else mine.failures.push({ at: ended, ...failure });
      await sleep(everyMs);
    }
  };
  const calling = Promise.all(bots.map(call));
  return {
    met,
    async stop() {
      running = false;
      await calling;
      agent.destroy();
    },
  };
}

// Private

const TIMEOUT_MS = 60_000;

/** Null when that bot answered. */
function ask(agent: Agent, url: string, bot: string, token: string): Promise<Omit<Failure, 'at'> | null> {
  return new Promise((resolve) => {
    const fail = (why: string, cut = false): void => resolve({ why, cut });
    const asked = request(
      url,
      { agent, headers: { Authorization: `Bearer ${token}` }, timeout: TIMEOUT_MS },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part) => {
          body += part;
        });
        response.on('error', (error) => fail(error.message, true));
        response.on('end', () => {
          const isHis = response.statusCode === 200 && body.includes(`"bot_name": "${bot}"`);
          if (isHis) resolve(null);
          else fail(`${response.statusCode} ${body.slice(0, 300)}`);
        });
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    asked.on('error', (error) => fail(error.message));
    asked.end();
  });
}
