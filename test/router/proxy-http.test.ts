import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { front, listen, mirror, send as sendTo, upstream, WAYS } from './front.ts';

const seenBy = async (answer: Promise<{ body: string }>) => JSON.parse((await answer).body);

describe.each(WAYS)('proxy over HTTP, by $name', ({ name, at, host }) => {
  const authorized = (port: number) => ({ authorization: 'Bearer bh_good', host: host(port) });
  const send = (port: number, path: string, { headers, ...options }: Parameters<typeof sendTo>[2] = {}) =>
    sendTo(port, at(path), { ...options, headers: headers ? { host: host(port), ...headers } : authorized(port) });

  it('passes on method, raw path, query and body', async () => {
    const port = await front(await mirror());
    const path = '/api//v1/%E2%82%AC;a=1?x=%2F&y=a+b';
    const seen = await seenBy(send(port, path, { method: 'PUT', body: 'hello' }));
    expect(seen).toMatchObject({ method: 'PUT', url: '/api//v1/%E2%82%AC;a=1?x=%2F&y=a+b', body: 'hello' });
  });

  it.each(['DELETE', 'GET', 'OPTIONS', 'PATCH'])(
    'passes on a %s with a chunked body as one request',
    async (method) => {
      const port = await front(await mirror());
      const headers = { authorization: 'Bearer bh_good', 'transfer-encoding': 'chunked' };
      const seen = await seenBy(send(port, '/x', { method, headers, body: 'GET /smuggled HTTP/1.1\r\n\r\n' }));
      expect(seen).toMatchObject({ method, body: 'GET /smuggled HTTP/1.1\r\n\r\n' });
    },
  );

  it('keeps the framing of a body whose Content-Length is named as hop-by-hop', async () => {
    const port = await front(await mirror());
    const headers = {
      authorization: 'Bearer bh_good',
      connection: 'close, content-length, host',
      'content-length': '5',
    };
    const seen = await seenBy(send(port, '/x', { method: 'DELETE', headers, body: 'hello' }));
    expect(seen).toMatchObject({ body: 'hello' });
    expect(seen.headers.host).toBe(host(port));
  });

  it('hides the credential and hop-by-hop headers, and says who asked', async () => {
    const port = await front(await mirror());
    const { headers } = await seenBy(
      send(port, '/', {
        headers: {
          authorization: 'Bearer bh_good',
          'x-bunkhouse-token': 'bh_good',
          cookie: 'bunkhouse_token=bh_good; own=1',
          connection: 'x-hop, keep-alive',
          'x-hop': '1',
          te: 'trailers',
          'proxy-authorization': 'Basic x',
        },
      }),
    );
    expect(JSON.stringify(headers)).not.toContain('bh_good');
    expect(headers).toMatchObject({
      cookie: 'own=1',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': host(port),
      'x-forwarded-proto': 'http',
    });
    expect(headers['x-forwarded-prefix']).toBe(name === 'path' ? '/bots/b' : undefined);
    for (const name of ['x-hop', 'te', 'proxy-authorization', 'x-bunkhouse-token'])
      expect(headers).not.toHaveProperty(name);
  });

  it('hides headers that a bot could take for ours, and no others with underscores', async () => {
    const port = await front(await mirror(), { headers: { 'X-Remote-User': 'alice' } });
    const { headers } = await seenBy(
      send(port, '/', {
        headers: {
          authorization: 'Bearer bh_good',
          x_forwarded_for: '6.6.6.6',
          'X-Real_IP': '6.6.6.6',
          x_remote_user: 'mallory',
          x_own: '1',
        },
      }),
    );
    expect(JSON.stringify(headers)).not.toMatch(/6\.6\.6\.6|mallory/);
    expect(headers).toMatchObject({ 'x-remote-user': 'alice', x_own: '1' });
  });

  it("adds the template's headers and query, and lets the caller's own for the bot win", async () => {
    const target = { headers: { Authorization: 'Basic Ym90', 'X-Extra': '1' }, query: { token: 'ws' } };
    const port = await front(await mirror(), target);
    const plain = await seenBy(send(port, '/a?x=1'));
    expect(plain.url).toBe('/a?x=1&token=ws');
    expect(plain.headers).toMatchObject({ authorization: 'Basic Ym90', 'x-extra': '1' });
    const own = await seenBy(
      send(port, '/a?token=mine', {
        headers: { 'x-bunkhouse-token': 'bh_good', authorization: 'Bearer ey.jwt' },
      }),
    );
    expect(own.url).toBe('/a?token=mine');
    expect(own.headers.authorization).toBe('Bearer ey.jwt');
  });

  it.each([
    ['no credential', {}, 'UNAUTHORIZED'],
    ['a wrong one', { authorization: 'Bearer bh_bad' }, 'UNAUTHORIZED'],
    ["the bot's own only", { authorization: 'Basic Ym90' }, 'UNAUTHORIZED'],
  ])('refuses %s and the bot hears nothing', async (_what, headers, code) => {
    let heard = 0;
    const port = await front(await upstream((_req, res) => res.end(String(++heard))));
    expect(await send(port, '/', { headers })).toMatchObject({ status: 599, body: code });
    expect(heard).toBe(0);
  });

  it('takes a cookie for reading, but for a change only from its own origin', async () => {
    const port = await front(await mirror());
    const cookie = 'bunkhouse_token=bh_good';
    const post = (headers: Record<string, string>) =>
      send(port, '/x', { method: 'POST', headers: { cookie, ...headers } });
    expect(await send(port, '/x', { headers: { cookie } })).toMatchObject({ status: 200 });
    expect(await post({})).toMatchObject({ body: 'FORBIDDEN' });
    expect(await post({ origin: 'http://evil.example' })).toMatchObject({ body: 'FORBIDDEN' });
    expect(await post({ 'sec-fetch-site': 'same-site' })).toMatchObject({ body: 'FORBIDDEN' });
    expect(await post({ origin: `http://${host(port)}` })).toMatchObject({ status: 200 });
    expect(await post({ 'sec-fetch-site': 'same-origin' })).toMatchObject({ status: 200 });
  });

  it('answers BOT_UNAVAILABLE when nobody listens, and when the bot hangs up without an answer', async () => {
    const gone = createServer();
    const port = await listen(gone);
    gone.close();
    expect(await send(await front(port), '/')).toMatchObject({ status: 599, body: 'BOT_UNAVAILABLE' });
    const rude = createTcpServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void rude.close());
    const { port: rudePort } = rude.address() as { port: number };
    expect(await send(await front(rudePort), '/')).toMatchObject({ status: 599, body: 'BOT_UNAVAILABLE' });
  });

  it.each([
    ['a status there is not', 'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'],
    ['a protocol nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['endless headers', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(50_000)}`],
  ])('survives a bot that answers with %s', async (_what, bytes) => {
    const odd = createTcpServer((socket) => socket.on('error', () => {}).once('data', () => socket.write(bytes)));
    await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void odd.close());
    const { port } = odd.address() as { port: number };
    expect(await send(await front(port), '/')).toMatchObject({ status: 599, body: 'BOT_UNAVAILABLE' });
  });

  it('breaks the answer off when the bot breaks off in the middle', async () => {
    const port = await front(
      await upstream((_req, res) => {
        res.writeHead(200, { 'content-length': '100' });
        res.write('half', () => res.destroy());
      }),
    );
    await expect(send(port, '/')).rejects.toThrow(/aborted|hang up/);
  });

  it('lets a caller that asked for it have the connection closed', async () => {
    const port = await front(await mirror());
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `GET ${at('/')} HTTP/1.1\r\nHost: ${host(port)}\r\nAuthorization: Bearer bh_good\r\nConnection: close\r\n\r\n`,
    );
    await once(socket.resume(), 'end');
    socket.destroy();
  });

  it('passes events on one by one, without holding them back', async () => {
    let next: () => void = () => {};
    const port = await front(
      await upstream((_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        let count = 0;
        next = () => res.write(`data: ${++count}\n\n`);
        res.flushHeaders();
      }),
    );
    const req = request({ port, host: '127.0.0.1', path: at('/'), headers: authorized(port) });
    req.end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    res.setEncoding('utf8');
    for (const expected of ['data: 1\n\n', 'data: 2\n\n']) {
      next();
      expect(await once(res, 'data')).toEqual([expected]);
    }
    req.destroy();
  });

  it('tells the bot when the caller leaves, before and during the answer', async () => {
    let arrived: (socket: Socket) => void = () => {};
    const port = await front(
      await upstream((req, res) => {
        if (req.url === '/during') res.write('begun');
        arrived(req.socket);
      }),
    );
    for (const path of ['/before', '/during']) {
      const arrival = new Promise<Socket>((resolve) => {
        arrived = resolve;
      });
      const req = request({ port, host: '127.0.0.1', path: at(path), headers: authorized(port) });
      req.on('error', () => {});
      req.on('response', (res) => res.on('error', () => {}).resume());
      req.end();
      const socket = await arrival;
      const closed = once(socket, 'close');
      req.destroy();
      await closed;
    }
  });

  it('answers early while an upload is still coming, without a hang', async () => {
    const port = await front(await upstream((_req, res) => res.writeHead(413).end('too large')));
    const answer = await send(port, '/', { method: 'POST', body: 'x'.repeat(5_000_000) });
    expect(answer).toMatchObject({ status: 413, body: 'too large' });
  });

  it('goes on with the next request of the connection after an early answer', async () => {
    const port = await front(await upstream((req, res) => res.writeHead(req.method === 'GET' ? 200 : 413).end()));
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const size = 5_000_000;
    const head = `Host: ${host(port)}\r\nAuthorization: Bearer bh_good\r\n`;
    socket.write(`POST ${at('/')} HTTP/1.1\r\n${head}Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
    socket.write(`GET ${at('/')} HTTP/1.1\r\n${head}\r\n`);
    let heard = '';
    socket.on('data', (data) => {
      heard += data;
    });
    await expect.poll(() => heard, { timeout: 3_000 }).toMatch(/ 413 [\s\S]* 200 OK/);
  });

  it('streams 50 MB up to a slow bot without keeping them', { timeout: 30_000 }, async () => {
    const total = 50 * 1024 * 1024;
    let received = 0;
    let ahead = 0;
    let sent = 0;
    const port = await front(
      await upstream(async (req, res) => {
        for await (const chunk of req) {
          received += chunk.length;
          ahead = Math.max(ahead, sent - received);
          if (received % (1 << 20) < chunk.length) await new Promise((resolve) => setImmediate(resolve));
        }
        res.end(String(received));
      }),
    );
    const block = Buffer.alloc(64 * 1024, 'x');
    const body = Readable.from(
      (function* () {
        for (; sent < total; sent += block.length) yield block;
      })(),
    );
    const req = request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: at('/upload'),
      headers: { ...authorized(port), 'content-length': total },
    });
    const answered = once(req, 'response') as Promise<[IncomingMessage]>;
    await pipeline(body, req);
    const [res] = await answered;
    expect(await once(res.setEncoding('utf8'), 'data')).toEqual([String(total)]);
    // What is on its way sits in socket buffers; the whole would be 50 MB.
    expect(ahead).toBeLessThan(16 * 1024 * 1024);
  });

  it('stops reading from the bot while the caller does not read', async () => {
    const block = Buffer.alloc(1024 * 1024);
    let sent = 0;
    const port = await front(
      await upstream(async (_req, res) => {
        res.on('error', () => {});
        while (sent < 200 && !res.destroyed) {
          if (!res.write(block)) await Promise.race([once(res, 'drain'), once(res, 'close')]);
          sent += 1;
        }
      }),
    );
    const socket = connect(port, '127.0.0.1').pause();
    onTestFinished(() => void socket.destroy());
    socket.write(`GET ${at('/')} HTTP/1.1\r\nHost: ${host(port)}\r\nAuthorization: Bearer bh_good\r\n\r\n`);
    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(64);
  });

  it('stops reading from the caller while the bot does not read', async () => {
    let reading: IncomingMessage | undefined;
    const port = await front(
      await upstream((req) => {
        reading = req;
        req.pause();
      }),
    );
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    const total = 200 * 1024 * 1024;
    socket.write(
      `POST ${at('/')} HTTP/1.1\r\nHost: ${host(port)}\r\nAuthorization: Bearer bh_good\r\nContent-Length: ${total}\r\n\r\n`,
    );
    const block = Buffer.alloc(1024 * 1024);
    let flushed = 0;
    while (flushed < total) {
      const drained = await Promise.race([
        new Promise<boolean>((resolve) => socket.write(block, () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500)),
      ]);
      if (!drained) break;
      flushed += block.length;
    }
    expect(reading).toBeDefined();
    expect(flushed).toBeLessThan(64 * 1024 * 1024);
  });
});
