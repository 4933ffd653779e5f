import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { front, listen, WAYS } from './front.ts';

interface Seen {
  req?: IncomingMessage;
  socket?: WebSocket;
  vanished: number;
}

/** A bot with a WebSocket that echoes; returns its port and what it saw last. */
async function echo(): Promise<{ port: number; seen: Seen }> {
  const server = createServer((_req, res) => res.writeHead(403, { 'x-why': 'no' }).end('not here'));
  const sockets = new WebSocketServer({ noServer: true });
  const seen: Seen = { vanished: 0 };
  server.on('upgrade', (req, socket, head) => {
    if (req.url?.startsWith('/refuse')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      return;
    }
    if (req.url?.startsWith('/vanish')) {
      seen.vanished += 1;
      socket.destroy();
      return;
    }
    sockets.handleUpgrade(req, socket, head, (ws) => {
      Object.assign(seen, { req, socket: ws });
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
  });
  return { port: await listen(server), seen };
}

function openAt(port: number, path: string, headers: Record<string, string>) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  onTestFinished(() => ws.terminate());
  return ws;
}

/** Status and headers with which the upgrade was refused. */
async function refusal(ws: WebSocket): Promise<IncomingMessage> {
  ws.on('error', () => {});
  const [, res] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage];
  return res;
}

describe.each(WAYS)('proxy of WebSockets, by $name', ({ at, host }) => {
  const open = (port: number, path: string, headers: Record<string, string> = { authorization: 'Bearer bh_good' }) =>
    openAt(port, at(path), { host: host(port), ...headers });

  it('passes messages both ways, small and large, text and binary', async () => {
    const bot = await echo();
    const ws = open(await front(bot.port, { query: { token: 'ws' } }), '/api/v1/message/ws?x=1');
    await once(ws, 'open');
    expect(bot.seen.req?.url).toBe('/api/v1/message/ws?x=1&token=ws');
    expect(JSON.stringify(bot.seen.req?.headers)).not.toContain('bh_good');
    ws.send('hello');
    expect(String((await once(ws, 'message'))[0])).toBe('hello');
    const large = Buffer.alloc(5_000_000, 7);
    ws.send(large);
    expect(((await once(ws, 'message'))[0] as Buffer).equals(large)).toBe(true);
  });

  it('passes on a close from either side with its code', async () => {
    const bot = await echo();
    const port = await front(bot.port);
    const first = open(port, '/ws');
    await once(first, 'open');
    const seenByBot = once(bot.seen.socket as WebSocket, 'close');
    first.close(4001, 'bye');
    expect((await seenByBot)[0]).toBe(4001);
    const second = open(port, '/ws');
    await once(second, 'open');
    const seenByCaller = once(second, 'close');
    bot.seen.socket?.close(4002);
    expect((await seenByCaller)[0]).toBe(4002);
  });

  it('tells a caller to come again when the bot has ended without a word, and when we end', async () => {
    const bot = await echo();
    const ends: (() => void)[] = [];
    const port = await front(bot.port, { ends });
    for (const end of [() => bot.seen.socket?.terminate(), () => ends[0]?.()]) {
      const ws = open(port, '/ws');
      await once(ws, 'open');
      ws.send('x'.repeat(70_000));
      await once(ws, 'message');
      const closed = once(ws, 'close');
      end();
      const [code, reason] = await closed;
      expect([code, String(reason)]).toEqual([1012, 'service restart']);
    }
  });

  it('does not say so in the middle of a message', async () => {
    const bot = await echo();
    const ws = open(await front(bot.port), '/ws');
    await once(ws, 'open');
    const closed = once(ws, 'close');
    const raw = (bot.seen.req as IncomingMessage).socket;
    // A frame of 100 bytes, of which there are three.
    raw.end(Buffer.from([0x82, 100, 1, 2, 3]));
    expect((await closed)[0]).toBe(1006);
  });

  it('ends one side when the other vanishes', async () => {
    const bot = await echo();
    const port = await front(bot.port);
    const first = open(port, '/ws');
    await once(first, 'open');
    const atBot = once(bot.seen.socket as WebSocket, 'close');
    first.terminate();
    await atBot;
    const second = open(port, '/ws');
    second.on('error', () => {});
    await once(second, 'open');
    const atCaller = once(second, 'close');
    bot.seen.socket?.terminate();
    await atCaller;
  });

  it.each([
    ['no credential', {}, 'UNAUTHORIZED'],
    ['a cookie without an origin', { cookie: 'bunkhouse_token=bh_good' }, 'FORBIDDEN'],
    ['a cookie from another site', { cookie: 'bunkhouse_token=bh_good', origin: 'http://evil.example' }, 'FORBIDDEN'],
  ])('refuses %s', async (_what, headers, code) => {
    const bot = await echo();
    const res = await refusal(open(await front(bot.port), '/ws', headers));
    expect(res.headers['x-code']).toBe(code);
    expect(bot.seen.req).toBeUndefined();
  });

  it('takes a cookie from its own origin and does not show it to the bot', async () => {
    const bot = await echo();
    const port = await front(bot.port);
    const headers = { cookie: 'bunkhouse_token=bh_good; own=1', origin: `http://${host(port)}` };
    await once(open(port, '/ws', headers), 'open');
    expect(bot.seen.req?.headers.cookie).toBe('own=1');
  });

  it('passes on a refusal of the bot', async () => {
    const bot = await echo();
    const res = await refusal(open(await front(bot.port), '/refuse'));
    expect(res.statusCode).toBe(403);
  });

  it('waits for a bot that is on its way back, and does not give it again and again what it hangs up on', async () => {
    const nowhere = createServer();
    const gone = await listen(nowhere);
    nowhere.close();
    const bot = await echo();
    const options = { port: gone, untilRouted: async () => true };
    const port = await front(gone, options);
    const ws = open(port, '/ws');
    setTimeout(() => Object.assign(options, { port: bot.port }), 300);
    await once(ws, 'open');
    ws.send('hello');
    expect(String((await once(ws, 'message'))[0])).toBe('hello');
    expect((await refusal(open(port, '/vanish'))).headers['x-code']).toBe('BOT_UNAVAILABLE');
    expect(bot.seen.vanished).toBe(3);
  });

  it('answers BOT_UNAVAILABLE when the bot is gone or hangs up', async () => {
    const bot = await echo();
    const vanished = await refusal(open(await front(bot.port), '/vanish'));
    expect(vanished.headers['x-code']).toBe('BOT_UNAVAILABLE');
    const server = createServer();
    const port = await listen(server);
    server.close();
    const gone = await refusal(open(await front(port), '/ws'));
    expect(gone.headers['x-code']).toBe('BOT_UNAVAILABLE');
  });
});
