import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from '../router/front.ts';
import { type App, startApp } from './app.ts';

/** The interface with one bot `a` of alice's, which is a real server: it answers with its path and echoes on WebSockets. */
async function setUp(): Promise<{ app: App; alice: string; bob: string; sockets: WebSocketServer }> {
  const bot = createServer((req, res) => res.setHeader('x-auth', String(req.headers.authorization)).end(req.url));
  const sockets = new WebSocketServer({ server: bot });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
  const app = await startApp({ basePort: await listen(bot) });
  onTestFinished(() => app.close());
  const alice = await app.ownerToken('alice');
  const bob = await app.ownerToken('bob');
  await app.call('POST', '/api/bots', { token: alice, body: { instanceId: 'a', template: 'demo' } });
  await app.settled();
  return { app, alice, bob, sockets };
}

async function refusal(app: App, path: string, token: string | null): Promise<{ status: number; body: unknown }> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}${path}`, { headers });
  socket.on('error', () => {});
  const [, res] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  expect(res.headers['content-type']).toBe('application/problem+json');
  const text = await res.setEncoding('utf8').reduce((all, chunk) => all + chunk, '');
  return { status: res.statusCode ?? 0, body: JSON.parse(text) };
}

describe('bots behind the interface', { timeout: 20_000 }, () => {
  it('are reached by their owner and by an administrator, and see no token', async () => {
    const { app, alice } = await setUp();
    for (const token of [alice, app.adminToken]) {
      const answer = await app.call('GET', '/bots/a/api/v1/ping?x=1', { token });
      expect(answer).toMatchObject({ status: 200, text: '/api/v1/ping?x=1' });
      expect(answer.headers).toMatchObject({ 'x-auth': 'undefined', 'x-request-id': expect.any(String) });
    }
  });

  it('are not kept busy by callers that were refused a WebSocket and stay, token or not', async () => {
    const { app, alice } = await setUp();
    const others = await app.connections();
    for (const path of ['/', '/bots/a/not-a-socket']) {
      const socket = connect({ host: '127.0.0.1', port: app.port, allowHalfOpen: true });
      onTestFinished(() => void socket.destroy());
      const lines = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', `Authorization: Bearer ${alice}`];
      socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
      await once(socket, 'data');
    }
    await expect.poll(() => app.connections(), { timeout: 5_000 }).toBeLessThanOrEqual(others);
  });

  it('are not there for another owner, and closed without a token', async () => {
    const { app, bob } = await setUp();
    expect(await app.call('GET', '/bots/a/', { token: bob })).toMatchObject({
      status: 404,
      json: { code: 'NOT_FOUND' },
    });
    expect(await app.call('GET', '/bots/a/', { token: null })).toMatchObject({
      status: 401,
      json: { code: 'UNAUTHORIZED' },
    });
    expect(await refusal(app, '/bots/a/ws', bob)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    expect(await refusal(app, '/bots/a/ws', null)).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } });
    expect(await refusal(app, '/api/events', app.adminToken)).toMatchObject({
      status: 404,
      body: { code: 'NOT_FOUND' },
    });
  });

  it('are unavailable while they are stopped', async () => {
    const { app, alice } = await setUp();
    await app.call('POST', '/api/bots/a/stop', { token: alice });
    await app.settled();
    const answer = await app.call('GET', '/bots/a/', { token: alice });
    expect(answer).toMatchObject({
      status: 503,
      json: { code: 'BOT_UNAVAILABLE', detail: expect.stringContaining('stopped') },
    });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(await refusal(app, '/bots/a/ws', alice)).toMatchObject({ status: 503, body: { code: 'BOT_UNAVAILABLE' } });
  });

  it('have WebSockets, which end with the interface', async () => {
    const { app, alice, sockets } = await setUp();
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/bots/a/ws`, { headers: { 'x-bunkhouse-token': alice } });
    socket.on('error', () => {});
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    const closed = once(socket, 'close');
    app.http.close();
    await closed;
    await expect.poll(() => sockets.clients.size).toBe(0);
  });

  it('are reached by host name too, where the API is not', async () => {
    const bot = createServer((req, res) => res.end(req.url));
    const addresses = { baseDomain: 'bots.test', scheme: 'https', port: 443 } as const;
    const app = await startApp({ basePort: await listen(bot), addresses });
    onTestFinished(() => app.close());
    await app.call('POST', '/api/bots', { body: { instanceId: 'a', template: 'demo' } });
    await app.call('POST', '/api/bots', { body: { instanceId: 'A.b', template: 'demo', desired: 'stopped' } });
    await app.settled();
    const urls = (await app.call('GET', '/api/bots')).json.bots as { url: string }[];
    expect(urls.map(({ url }) => url)).toEqual(['/bots/A.b/', 'https://a.bots.test/']);
    const host = 'a.bots.test';
    expect(await app.call('GET', '/api/bots', { headers: { host } })).toMatchObject({
      text: '/api/bots',
      headers: { 'x-container-id': 'a', 'x-container-location': 'local' },
    });
    expect(await app.call('GET', '/', { headers: { host }, token: null })).toMatchObject({ status: 401 });
    expect(await app.call('GET', '/', { headers: { host: 'nobody.bots.test' } })).toMatchObject({ status: 404 });
    expect(await app.call('GET', '/health', { headers: { host: 'bots.test' } })).toMatchObject({
      json: { status: 'ready' },
    });
  });

  it('are measured and logged by route, not by path', async () => {
    const { app, alice } = await setUp();
    await app.call('POST', '/bots/a/secret-path?token=bh_leak', { token: alice });
    await refusal(app, '/bots/a/ws', null);
    const { text } = await app.call('GET', '/metrics');
    expect(text).toContain('bunkhouse_http_request_seconds_count{method="POST",route="/bots/{id}/*",status="200"} 1');
    expect(text).toContain('bunkhouse_http_request_seconds_count{method="GET",route="/bots/{id}/*",status="401"} 1');
    expect(text).not.toContain('secret-path');
    expect(app.logLines().find((line) => line.path === '/bots/a/secret-path')).toMatchObject({
      actor: 'alice',
      status: 200,
    });
    expect(JSON.stringify(app.logLines())).not.toContain('bh_leak');
  });

  it('and the API answer callers that offer HTTP/2 in HTTP/1.1', async () => {
    const { app } = await setUp();
    const socket = connect(app.port, '127.0.0.1');
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
    socket.write(`GET /health HTTP/1.1\r\nHost: x\r\n${offer}\r\n`);
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 200 OK/);
    socket.destroy();
  });
});
