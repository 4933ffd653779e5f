import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { signal } from './processes.ts';
import { createSandbox, fixtureBot, type Sandbox } from './support.ts';

/** What a caller of a bot notices when it dies, and who else could be taken for it. */

describe('the way to a bot', () => {
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await createSandbox({ basePort: 26_960 });
    await sandbox.start();
    for (const id of ['a', 'b']) await sandbox.client.create(await fixtureBot(id, 'server.py'));
    for (const id of ['a', 'b']) await sandbox.untilState(id, 'running');
  });
  afterAll(() => sandbox?.dispose());

  const ask = (id: string, init: RequestInit = {}) =>
    fetch(`${sandbox.url}/bots/${id}/x`, { ...init, headers: { authorization: `Bearer ${sandbox.client.token}` } });

  it('never leads to a stranger who took its port, however late its death is noticed', async () => {
    const { pid, port } = await sandbox.untilState('a', 'running');
    const supervisord = sandbox.supervisords()[0]?.pid ?? 0;
    // Nobody can tell of its end now: for the supervisor, it runs.
    process.kill(supervisord, 'SIGSTOP');
    onTestFinished(() => void process.kill(supervisord, 'SIGCONT'));
    process.kill(pid ?? 0, 'SIGKILL');
    const heard = { connections: 0, bytes: 0 };
    const stranger = await take(port ?? 0, heard);
    onTestFinished(() => void stranger.close());
    expect((await sandbox.client.bot('a')).state).toBe('running');
    const [read, write] = [ask('a'), ask('a', { method: 'POST', body: 'secret' })];
    await sandbox.until('the stranger is connected', async () => heard.connections >= 2);
    expect(heard.bytes).toBe(0);
    process.kill(supervisord, 'SIGCONT');
    expect((await write).status).toBe(503);
    // It cannot start while its port is taken.
    await sandbox.until('its end is noticed', async () => (await sandbox.client.bot('a')).state !== 'running');
    expect((await ask('b')).status).toBe(200);
    expect(heard.bytes).toBe(0);
    stranger.close();
    // It was held meanwhile, or given up after a while; it was not answered by anybody else.
    expect(await read.then((answer) => answer.json())).toSatisfy(
      (answer: { bot_name?: string; code?: string }) => answer.bot_name === 'a' || answer.code === 'BOT_UNAVAILABLE',
    );
    await sandbox.untilState('a', 'running');
    expect(await (await ask('a')).json()).toMatchObject({ bot_name: 'a' });
    expect(heard.bytes).toBe(0);
  });

  it('is kept open for a GET while the bot is started anew, once and a hundred times', async () => {
    const before = await sandbox.untilState('b', 'running');
    const asking = Array.from({ length: 100 }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 10));
      return (await ask('b')).status;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    signal(before.pid ?? 0, 'SIGKILL');
    expect(new Set(await Promise.all(asking))).toEqual(new Set([200]));
    const after = await sandbox.untilState('b', 'running');
    expect(after.pid).not.toBe(before.pid);
    await sandbox.client.post('/api/bots/b/restart');
    expect((await ask('b')).status).toBe(200);
  });

  it('is closed at once when the bot was stopped by its owner', async () => {
    await sandbox.client.post('/api/bots/b/stop');
    await sandbox.untilState('b', 'stopped');
    const began = performance.now();
    expect((await ask('b')).status).toBe(503);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

/** Listens there as soon as the port is free, and notes what it hears. */
async function take(port: number, heard: { connections: number; bytes: number }): Promise<Server> {
  const server = createServer((socket) => {
    heard.connections += 1;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      heard.bytes += data.length;
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    });
  });
  for (let tries = 0; ; tries++) {
    const taken = await new Promise<boolean>((resolve, reject) => {
      server.once('error', (error) => (tries < 200 ? resolve(false) : reject(error)));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (taken) return server;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
