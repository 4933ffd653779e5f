import { describe, expect, it } from 'vitest';
import { createProgress } from '../../lib/cli/progress.ts';
import { serverEvents } from '../../lib/cli/sse.ts';
import { clip, duration, plain, safeOutput, table } from '../../lib/cli/text.ts';

describe('text for a terminal', () => {
  it('loses what would steer the terminal, in a cell and in a log', () => {
    const evil = 'a\u001b]0;title\u0007\u001b[2Jb\u009b31mc\r\nd';
    expect(plain(evil)).toBe('a ]0;title  [2Jb 31mc  d');
    expect(safeOutput(evil)).toBe('a]0;title[2Jb31mc\nd');
  });

  it('keeps colours, tabs and line breaks of a log', () => {
    const log = '\u001b[1;32mINFO\u001b[0m\tready\n[0m stays\n';
    expect(safeOutput(log)).toBe(log);
  });

  it('lines up columns and cuts at the width of the terminal', () => {
    expect(table(['A', 'LONG'], [['abc', 'x']])).toBe('A    LONG\nabc  x\n');
    expect(table(['A', 'LONG'], [['abc', 'x'.repeat(20)]], 10)).toBe('A    LONG\nabc  xxxx…\n');
    expect(clip('abc', 3)).toBe('abc');
  });

  it.each([
    [0.9, '0s'],
    [59.9, '59s'],
    [200, '3m 20s'],
    [7500, '2h 5m'],
    [356_400, '4d 3h'],
    [-5, '0s'],
  ])('writes %d seconds as %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});

describe('progress', () => {
  it('is a line each time it changes where there is no terminal', () => {
    const written: string[] = [];
    const progress = createProgress({ write: (text) => written.push(text), terminal: 0, now: () => 0 });
    for (const text of ['a', 'a', 'b']) progress.update(text);
    progress.clear();
    expect(written.join('')).toBe('a\nb\n');
  });

  it('is one line that is rewritten, with the time it takes, on a terminal', () => {
    const written: string[] = [];
    let now = 1000;
    const progress = createProgress({ write: (text) => written.push(text), terminal: 40, now: () => now });
    progress.update('waiting');
    now = 63_000;
    progress.update('waiting');
    progress.clear();
    expect(written).toEqual(['\r\u001b[Kwaiting … 0s', '\r\u001b[Kwaiting … 1m 2s', '\r\u001b[K']);
  });
});

describe('a stream of events', () => {
  it('is read whole wherever its pieces are cut, comments left out', async () => {
    const text =
      'retry: 2000\n: hello\n\nid: 1\nevent: log\ndata: {"é":1}\n\n: beat\n\nid: 2\ndata: a\ndata: b\n\ndata: cut off';
    for (const size of [1, 7, 1000]) {
      const events = [];
      for await (const event of serverEvents(pieces(text, size))) events.push(event);
      expect(events).toEqual([
        { id: '1', event: 'log', data: '{"é":1}' },
        { id: '2', event: 'message', data: 'a\nb' },
      ]);
    }
  });
});

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
