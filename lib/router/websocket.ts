import { type ClientRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../util/clock.ts';
import { closeFrame, Frames } from './frames.ts';

/** An upgrade on its way: the request to the bot, not yet ended, and the caller who asked. */
export interface Upgrade {
  readonly upstream: ClientRequest;
  readonly caller: Socket;
  /** What the caller has sent already. */
  readonly head: Buffer;
  /** Headers as the caller gets to see them. */
  readonly headersOf: (answer: IncomingMessage) => IncomingMessage['headers'];
  /** Ways to end those that are connected. */
  readonly open: Set<() => void>;
}

/** A bot that takes the connection but does not answer is given up after this. */
const TIMEOUT_MS = 30_000;
/** What a caller is told whose bot has ended without a word: come again. */
const RESTART = closeFrame(1012, 'service restart');

/**
 * Asks the bot for a WebSocket, passes its answer on, and joins both ends when it agrees; resolves then.
 * Rejects as long as nothing was said to the caller.
 */
export function passUpgrade({ upstream, caller, head, headersOf, open }: Upgrade, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (): boolean => {
      cancel();
      const first = !settled;
      settled = true;
      return first;
    };
    const leave = (): void => void upstream.destroy();
    const fail = (error: Error): void => {
      if (!settle()) return;
      caller.removeListener('close', leave);
      reject(error);
    };
    const cancel = clock.after(TIMEOUT_MS, () => upstream.destroy(new Error('it does not answer')));
    upstream.on('error', fail);
    upstream.once('close', () => fail(new Error('it gave no answer')));
    caller.once('close', leave);
    upstream.once('upgrade', (answer, bot, first) => {
      if (!settle()) return void bot.destroy();
      const switching = { connection: 'Upgrade', upgrade: answer.headers.upgrade };
      caller.write(rawHead(answer, { ...headersOf(answer), ...switching }));
      // Before all else that comes from it.
      if (first.length > 0) bot.unshift(first);
      join(caller, bot as Socket, open);
      if (head.length > 0) bot.write(head);
      resolve();
    });
    upstream.once('response', (answer) => {
      if (!settle()) return;
      caller.write(rawHead(answer, { ...headersOf(answer), connection: 'close' }));
      answer.on('error', () => caller.destroy());
      answer.pipe(caller);
      resolve();
    });
    upstream.end();
  });
}

// Private

function rawHead({ statusCode = 502, statusMessage }: IncomingMessage, headers: IncomingMessage['headers']): string {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((each) => `${name}: ${each}\r\n`),
  );
  return `HTTP/1.1 ${statusCode} ${statusMessage || (STATUS_CODES[statusCode] ?? '')}\r\n${lines.join('')}\r\n`;
}

/** When one end is gone, so is the other: piping alone passes on a proper end only. */
function join(caller: Socket, bot: Socket, open: Set<() => void>): void {
  const frames = new Frames();
  /** Says that a restart is why, unless the bot has said why, or has ended in the middle of a word. */
  const endCaller = (): void => {
    if (caller.writableEnded) return;
    if (frames.takesAnother) caller.write(RESTART);
    caller.end();
    // What it still says is nobody's; unread, its end would not be noticed.
    caller.unpipe(bot).resume();
  };
  const end = (): void => {
    endCaller();
    caller.destroySoon();
    bot.destroy();
  };
  open.add(end);
  caller.once('close', () => {
    open.delete(end);
    bot.destroy();
  });
  bot.once('end', endCaller);
  bot.once('close', endCaller);
  bot.on('error', endCaller);
  caller.on('error', () => bot.destroy());
  for (const socket of [caller, bot]) socket.setNoDelay(true);
  bot.on('data', (bytes: Buffer) => frames.follow(bytes));
  bot.pipe(caller, { end: false }).pipe(bot);
}
