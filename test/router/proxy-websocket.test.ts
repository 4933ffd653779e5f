import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { front, listen, WAYS } from './front.ts';

/** A bot with a WebSocket that echoes; returns its port and what it saw last. */
async function echo(): Promise<{ port: number; seen: { req?: IncomingMessage; socket?: WebSocket } }> {
  const server = createServer((_req, res) => res.writeHead(403, { 'x-why': 'no' }).end('not here'));
  const sockets = new WebSocketServer({ noServer: true });
  const seen: { req?: IncomingMessage; socket?: WebSocket } = {};
  server.on('upgrade', (req, socket, head) => {
    if (req.url?.startsWith('/refuse')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      return;
    }
    if (req.url?.startsWith('/vanish')) {
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
