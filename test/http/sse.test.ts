import { describe, expect, it } from 'vitest';
import { type SseMessage, sseText } from '../../lib/http/sse.ts';
import { type Clock, systemClock } from '../../lib/util/clock.ts';

const onError = (error: unknown): SseMessage => ({ event: 'problem', data: { detail: String(error) } });

/** A clock whose sleeps end when the test says so. */
function handClock(): { clock: Clock; tick: () => void } {
  let wake: () => void = () => {};
  const sleep: Clock['sleep'] = (_ms, signal) =>
    new Promise((resolve) => {
      wake = resolve;
      signal?.addEventListener('abort', () => resolve());
    });
  return { clock: { ...systemClock, sleep }, tick: () => wake() };
}

async function* once(...messages: SseMessage[]): AsyncGenerator<SseMessage> {
  yield* messages;
}

async function all(text: AsyncIterable<string>): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of text) pieces.push(piece);
  return pieces;
}

describe('event stream', () => {
  it('begins with a comment and writes id, event and data', async () => {
    const signal = new AbortController().signal;
    const pieces = await all(
      sseText(once({ id: '7', event: 'log', data: { text: 'a\nb' } }, { data: 1 }), {
        clock: systemClock,
        signal,
        onError,
      }),
    );
    expect(pieces).toEqual([
      'retry: 2000\n: connected\n\n',
      'id: 7\nevent: log\ndata: {"text":"a\\nb"}\n\n',
      'data: 1\n\n',
    ]);
  });

  it('sends a heartbeat while there is nothing to say, and loses no message by it', async () => {
    const { clock, tick } = handClock();
    let say: (message: SseMessage) => void = () => {};
    const quiet: AsyncIterable<SseMessage> = (async function* () {
      yield await new Promise<SseMessage>((resolve) => {
        say = resolve;
      });
    })();
    const text = sseText(quiet, { clock, signal: new AbortController().signal, onError });
    await text.next();
    for (const _round of [1, 2]) {
      const beat = text.next();
      tick();
      expect((await beat).value).toBe(': heartbeat\n\n');
    }
    const next = text.next();
    say({ data: 'late' });
    expect((await next).value).toBe('data: "late"\n\n');
  });

  it('ends with what went wrong', async () => {
    const failing: AsyncIterable<SseMessage> = (async function* () {
      yield { data: 1 };
      throw new Error('container gone');
    })();
    const pieces = await all(sseText(failing, { clock: systemClock, signal: new AbortController().signal, onError }));
    expect(pieces.at(-1)).toBe('event: problem\ndata: {"detail":"Error: container gone"}\n\n');
  });
});
