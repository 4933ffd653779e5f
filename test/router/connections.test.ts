import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { RouteTarget } from '../../lib/services/pool-api.ts';
import { front, listen, send } from './front.ts';

/** A bot that counts its connections and requests. */
async function bot(answer: RequestListener = (_req, res) => res.end('ok')) {
  const heard = { connections: 0, requests: 0, bytes: 0, sockets: [] as Socket[] };
  const server = createServer((req, res) => {
    heard.requests += 1;
    answer(req, res);
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    heard.connections += 1;
    heard.sockets.push(socket);
    socket.on('data', (data) => {
      heard.bytes += data.length;
    });
  });
  return { port: await listen(server), heard };
}

const post = { method: 'POST', headers: { authorization: 'Bearer bh_good' }, body: 'x' };

/** A program that takes connections and ends them at once. */
async function hangsUp(): Promise<number> {
  const server = createTcpServer((socket) => void socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** The first that is answered. */
function askForWebSocket(at: number): Promise<string> {
  const socket = connect(at, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer bh_good\r\n';
  socket.write(`GET /bots/b/ws HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`);
  return new Promise((resolve) => socket.once('data', (data) => resolve(String(data))));
}

/** The route to a bot, which a test changes as if the bot were restarted or moved. */
function changing(first: Pick<RouteTarget, 'port' | 'life'>): { port: number; life: string } {
  return { ...first };
}

describe('connections to bots', () => {
  it('are kept for reading, one after the other, and proven once', async () => {
    const { port, heard } = await bot();
    let proofs = 0;
    const at = await front(port, { prove: async () => void proofs++ });
    for (let i = 0; i < 5; i++) expect(await send(at, '/bots/b/')).toMatchObject({ status: 200, body: 'ok' });
    expect(heard).toMatchObject({ connections: 1, requests: 5 });
    expect(proofs).toBe(1);
  });

  it('are new for everything else, and each proven', async () => {
    const { port, heard } = await bot();
    let proofs = 0;
    const at = await front(port, { prove: async () => void proofs++ });
    for (let i = 0; i < 3; i++) expect(await send(at, '/bots/b/', post)).toMatchObject({ status: 200 });
    expect(heard).toMatchObject({ connections: 3, requests: 3 });
    expect(proofs).toBe(3);
  });

  it('carry nothing before it is proven who is at the other end', async () => {
    const { port, heard } = await bot();
    const at = await front(port, {
      prove: async (id, life) => {
        expect([id, life]).toEqual(['b', 'first']);
        throw new BunkhouseError('BOT_UNAVAILABLE', 'somebody else listens there');
      },
    });
    for (const options of [{}, post]) {
      expect(await send(at, '/bots/b/', options)).toMatchObject({ status: 599, body: 'BOT_UNAVAILABLE' });
    }
    expect(await askForWebSocket(at)).toContain('X-Code: BOT_UNAVAILABLE');
    expect(heard.connections).toBe(3);
    expect(heard.bytes).toBe(0);
  });

  it('that the bot ends while it is proven who is there are not waited on for ever', async () => {
    const port = await hangsUp();
    const at = await front(port, { prove: () => sleep(50) });
    for (const options of [{}, post]) {
      expect(await send(at, '/bots/b/', options)).toMatchObject({ status: 599, body: 'BOT_UNAVAILABLE' });
    }
    expect(await askForWebSocket(at)).toContain('X-Code: BOT_UNAVAILABLE');
  });

  it('to a bot that is deleted meanwhile end nothing but themselves', async () => {
    const { port } = await bot();
    const at = await front(port, {
      prove: () => {
        throw new BunkhouseError('NOT_FOUND', 'there is no bot b');
      },
    });
    for (const options of [{}, post]) expect(await send(at, '/bots/b/', options)).toMatchObject({ status: 599 });
    expect(await askForWebSocket(at)).toContain('599');
  });

  it('of an earlier process are not used for the next', async () => {
    const { port, heard } = await bot();
    const route = changing({ port, life: 'first' });
    const at = await front(port, {
      get life() {
        return route.life;
      },
    });
    await send(at, '/bots/b/');
    route.life = 'second';
    await send(at, '/bots/b/');
    expect(heard.connections).toBe(2);
    await expect.poll(() => heard.sockets[0]?.destroyed).toBe(true);
  });

  it('that the bot ends just as they are taken cost the caller nothing', async () => {
    let connections = 0;
    let requests = 0;
    // Ends a kept connection when the second request comes in on it, unanswered.
    const server = createTcpServer((socket) => {
      connections += 1;
      let here = 0;
      socket.on('error', () => {});
      socket.on('data', () => {
        requests += 1;
        here += 1;
        if (here > 1) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const at = await front((server.address() as { port: number }).port);
    for (let i = 0; i < 4; i++) expect(await send(at, '/bots/b/')).toMatchObject({ status: 200, body: 'ok' });
    expect([connections, requests]).toEqual([4, 7]);
  });
});

describe('patience with a bot that is away', () => {
  it('keeps a GET waiting until it is back, wherever it is then', async () => {
    const { port, heard } = await bot();
    const gone = createServer();
    const nowhere = await listen(gone);
    gone.close();
    const route = changing({ port: nowhere, life: 'first' });
    const at = await front(nowhere, {
      get port() {
        return route.port;
      },
      get life() {
        return route.life;
      },
      untilRouted: async () => {
        Object.assign(route, { port, life: 'second' });
        return true;
      },
    });
    expect(await send(at, '/bots/b/x')).toMatchObject({ status: 200, body: 'ok' });
    expect(heard.requests).toBe(1);
    route.port = nowhere;
    expect(await send(at, '/bots/b/', post)).toMatchObject({ body: 'BOT_UNAVAILABLE' });
  });

  it('does not give a bot again and again what it hangs up on', async () => {
    const { port, heard } = await bot((req) => void req.socket.destroy());
    const at = await front(port, { untilRouted: async () => true });
    expect(await send(at, '/bots/b/')).toMatchObject({ status: 599, body: 'BOT_UNAVAILABLE' });
    expect(heard.requests).toBe(3);
  });

  it('ends when the bot will not come back, and when the caller leaves', async () => {
    const gone = createServer();
    const nowhere = await listen(gone);
    gone.close();
    expect(await send(await front(nowhere), '/bots/b/')).toMatchObject({ body: 'BOT_UNAVAILABLE' });
    let left: () => void = () => {};
    const leaving = new Promise<void>((resolve) => {
      left = resolve;
    });
    const at = await front(nowhere, {
      untilRouted: (_bot, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            left();
            resolve(false);
          });
          caller.destroy();
        }),
    });
    const caller = connect(at, '127.0.0.1');
    caller.write('GET /bots/b/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bh_good\r\n\r\n');
    await leaving;
  });
});
