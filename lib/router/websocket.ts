import { type ClientRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../util/clock.ts';

/** An upgrade on its way: the request to the bot, not yet ended, and the caller who asked. */
export interface Upgrade {
  readonly upstream: ClientRequest;
  readonly caller: Socket;
  /** What the caller has sent already. */
  readonly head: Buffer;
  /** Headers as the caller gets to see them. */
  readonly headersOf: (answer: IncomingMessage) => IncomingMessage['headers'];
  /** Called at most once, while the caller can still be answered. */
  readonly onFailure: (error: Error) => void;
  /** Callers that are connected. */
  readonly open: Set<Duplex>;
}

/** A bot that takes the connection but does not answer is given up after this. */
const TIMEOUT_MS = 30_000;

/** Asks the bot for a WebSocket, passes its answer on, and joins both ends when it agrees. */
export function passUpgrade({ upstream, caller, head, headersOf, onFailure, open }: Upgrade, clock: Clock): void {
  let settled = false;
  const settle = (): boolean => {
    cancel();
    const first = !settled;
    settled = true;
    return first;
  };
  const fail = (error: Error): void => {
    if (settle()) onFailure(error);
  };
  const cancel = clock.after(TIMEOUT_MS, () => upstream.destroy(new Error('it does not answer')));
  upstream.on('error', fail);
  upstream.once('close', () => fail(new Error('it gave no answer')));
  caller.once('close', () => upstream.destroy());
  upstream.once('upgrade', (answer, bot, first) => {
    if (!settle()) return void bot.destroy();
    const switching = { connection: 'Upgrade', upgrade: answer.headers.upgrade };
    caller.write(rawHead(answer, { ...headersOf(answer), ...switching }));
    join(caller, bot as Socket, open);
    if (head.length > 0) bot.write(head);
    if (first.length > 0) caller.write(first);
  });
  upstream.once('response', (answer) => {
    if (!settle()) return;
    caller.write(rawHead(answer, { ...headersOf(answer), connection: 'close' }));
    answer.on('error', () => caller.destroy());
    answer.pipe(caller);
  });
  upstream.end();
}

// Private

function rawHead({ statusCode = 502, statusMessage }: IncomingMessage, headers: IncomingMessage['headers']): string {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((each) => `${name}: ${each}\r\n`),
  );
  return `HTTP/1.1 ${statusCode} ${statusMessage || (STATUS_CODES[statusCode] ?? '')}\r\n${lines.join('')}\r\n`;
}

/** When one end is gone, so is the other: piping alone passes on a proper end only. */
function join(caller: Socket, bot: Socket, open: Set<Duplex>): void {
  open.add(caller);
  caller.once('close', () => {
    open.delete(caller);
    bot.destroy();
  });
  bot.once('close', () => caller.destroySoon());
  bot.on('error', () => caller.destroySoon());
  caller.on('error', () => bot.destroy());
  for (const socket of [caller, bot]) socket.setNoDelay(true);
  bot.pipe(caller).pipe(bot);
}
