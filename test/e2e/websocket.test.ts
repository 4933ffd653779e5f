import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createSandbox, fixtureBot, type Sandbox } from './support.ts';

/** WebSockets to a real bot that is restarted or killed meanwhile. */

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await createSandbox({ basePort: 28_100 });
  await sandbox.start();
  await sandbox.client.create(await fixtureBot('echo', 'echo.py', { template: 'listen' }));
  await sandbox.untilState('echo', 'running');
});
afterAll(() => sandbox?.dispose());

async function open(): Promise<WebSocket> {
  const headers = { Authorization: `Bearer ${sandbox.client.token}` };
  const socket = new WebSocket(`${sandbox.url.replace('http', 'ws')}/bots/echo/`, { headers });
  await once(socket, 'open');
  return socket;
}

/** The pid of whom it talks to. */
async function ask(socket: WebSocket): Promise<number> {
  socket.send('hello');
  const [pid, text] = String((await once(socket, 'message'))[0]).split(' ');
  expect(text).toBe('hello');
  return Number(pid);
}

describe('a WebSocket to a bot', () => {
  it.each([
    ['is restarted', async () => void (await sandbox.client.post('/api/bots/echo/restart'))],
    ['is killed', async () => void process.kill((await sandbox.client.bot('echo')).pid as number, 'SIGKILL')],
  ])('that %s is ended with 1012, and a new one waits for its next life', async (_, end) => {
    const before = await open();
    const pid = await ask(before);
    expect(pid).toBe((await sandbox.client.bot('echo')).pid);
    const closed = once(before, 'close');
    await end();
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([1012, 'service restart']);
    const from = performance.now();
    const after = await open();
    console.log(`a WebSocket to a bot on its way back: ${(performance.now() - from).toFixed(0)} ms`);
    expect(await ask(after)).not.toBe(pid);
    after.terminate();
  });

  it('is refused when nobody wants the bot to come back', async () => {
    await sandbox.client.post('/api/bots/echo/stop');
    await sandbox.untilState('echo', 'stopped');
    await expect(open()).rejects.toThrow('503');
  });

  it('does not hold up the end of the supervisor, which tells its caller to come again', async () => {
    await sandbox.client.post('/api/bots/echo/start');
    await sandbox.untilState('echo', 'running');
    const socket = await open();
    const closed = once(socket, 'close');
    await sandbox.stop();
    expect((await closed)[0]).toBe(1012);
  });
});
