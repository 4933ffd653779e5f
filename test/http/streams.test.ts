import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { type App, startApp } from './app.ts';

interface Message {
  readonly id?: string;
  readonly event?: string;
  readonly data: Record<string, unknown>;
}

/** An open event stream: `next` waits for one more message, comments left out. */
async function follow(app: App, path: string, headers: Record<string, string> = {}, token = app.adminToken) {
  const req = request({
    host: '127.0.0.1',
    port: app.port,
    path,
    headers: { authorization: `Bearer ${token}`, ...headers },
    agent: false,
  });
  req.end();
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  expect(res.headers['content-type']).toBe('text/event-stream');
  const blocks = (async function* () {
    let text = '';
    for await (const piece of res.setEncoding('utf8')) {
      const parts = (text + piece).split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) if (!/^(?::|retry)/.test(part)) yield parseMessage(part);
    }
  })();
  return {
    next: async (): Promise<Message | null> => (await blocks.next()).value ?? null,
    close: () => req.destroy(),
  };
}

function parseMessage(block: string): Message {
  const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)));
  return { ...fields, data: JSON.parse(fields.data) };
}

const demo = (instanceId: string) => ({ instanceId, template: 'demo' });

/** Reads on until an event of this type. */
async function until(stream: { next(): Promise<Message | null> }, type: string): Promise<Message> {
  for (;;) {
    const message = await stream.next();
    if (message === null) throw new Error(`the stream ended before ${type}`);
    if (message.event === type) return message;
  }
}

describe('events', { timeout: 20_000 }, () => {
  it('come as they happen, and after a break from where it was', async () => {
    await using app = await startApp();
    const stream = await follow(app, '/api/events');
    await app.call('POST', '/api/bots', { body: demo('a') });
    const created = await until(stream, 'bot.created');
    expect(created.data).toMatchObject({ type: 'bot.created', bot: 'a', owner: 'admin', template: 'demo' });
    stream.close();
    await app.call('POST', '/api/bots', { body: demo('b') });
    const resumed = await follow(app, '/api/events', { 'last-event-id': String(created.id) });
    expect((await until(resumed, 'bot.created')).data).toMatchObject({ bot: 'b' });
    resumed.close();
  });

  it('begin with a gap for an id of another life', async () => {
    await using app = await startApp();
    const stream = await follow(app, '/api/events', { 'last-event-id': '12' });
    expect(await stream.next()).toMatchObject({ event: 'gap' });
    stream.close();
  });

  it('of other owners are not shown', async () => {
    await using app = await startApp();
    const alice = await app.ownerToken('alice');
    const stream = await follow(app, '/api/events', {}, alice);
    await app.call('POST', '/api/bots', { body: demo('admins') });
    await app.settled();
    await app.call('POST', '/api/bots', { token: alice, body: demo('hers') });
    expect((await stream.next())?.data).toMatchObject({ bot: 'hers' });
    stream.close();
  });

  it('end when the server closes', async () => {
    await using app = await startApp();
    const stream = await follow(app, '/api/events');
    app.http.close();
    while ((await stream.next()) !== null);
  });

  it('leave nothing behind when the reader leaves', async () => {
    await using app = await startApp();
    for (let n = 0; n < 20; n++) (await follow(app, '/api/events')).close();
    await expect.poll(() => app.connections()).toBe(0);
  });
});

describe('logs', { timeout: 20_000 }, () => {
  it('of a shared service are the administrator’s to read', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: { instanceId: 's', template: 'served' } });
    await app.settled();
    const [container] = (await app.call('GET', '/api/pool/status')).json.pools as { id: string; services: object[] }[];
    expect(container?.services).toMatchObject([{ name: 'store', state: 'running' }]);
    const path = `/api/pool/containers/${container?.id}/services/store/logs`;
    expect((await app.call('GET', path)).json.data).toContain('service store starts as');
    const stream = await follow(app, `${path}?follow=true&tail=1`);
    expect(await stream.next()).toMatchObject({
      event: 'log',
      data: { data: expect.stringContaining('store starts') },
    });
    stream.close();
    expect(await app.call('GET', path.replace('store', 'none'))).toMatchObject({ status: 404 });
    expect(await app.call('GET', path.replace(`${container?.id}`, 'nowhere'))).toMatchObject({ status: 404 });
    expect(await app.call('GET', path, { token: await app.ownerToken('alice') })).toMatchObject({ status: 403 });
  });

  it('show the last lines', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a') });
    await app.settled();
    await app.call('POST', '/api/bots/a/stop');
    await app.settled();
    const tail = async (query: string) => String((await app.call('GET', `/api/bots/a/logs${query}`)).json.data);
    expect(await tail('')).toMatch(/^a starts as \d+\na exited with code 130\n$/);
    expect(await tail('?tail=1')).toBe('a exited with code 130\n');
    expect(await tail('?tail=0')).toBe('');
  });

  it('are not there for a bot that has no container yet', async () => {
    await using app = await startApp();
    app.world.faults.failNext('create', 'DRIVER_UNAVAILABLE');
    await app.call('POST', '/api/bots', { body: demo('a') });
    expect(await app.call('GET', '/api/bots/a/logs')).toMatchObject({ status: 503, json: { code: 'BOT_UNAVAILABLE' } });
  });

  it('are followed, and after a break from where it was', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a') });
    await app.settled();
    const stream = await follow(app, '/api/bots/a/logs?follow=true&tail=0');
    app.world.killBot('a', { code: 3 });
    const first = await stream.next();
    expect(first).toMatchObject({ event: 'log', data: { data: expect.stringContaining('a exited with code 3\n') } });
    stream.close();
    await app.settled();
    app.world.killBot('a', { code: 4 });
    const resumed = await follow(app, '/api/bots/a/logs?follow=true', { 'last-event-id': String(first?.id) });
    const text = String((await resumed.next())?.data.data);
    expect(text).toContain('a exited with code 4\n');
    expect(text).not.toContain('code 3');
    resumed.close();
  });

  it('are read no more once the reader left', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a') });
    await app.settled();
    const stream = await follow(app, '/api/bots/a/logs?follow=true&tail=0');
    let reads = 0;
    app.world.faults.hook = ({ method, when }) => {
      if (method === 'agent.log' && when === 'before') reads += 1;
    };
    await expect.poll(() => reads, { timeout: 5000 }).toBeGreaterThan(0);
    stream.close();
    await expect.poll(() => app.connections()).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    reads = 0;
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(reads).toBe(0);
  });

  it('say why and end when the bot goes away', async () => {
    await using app = await startApp();
    await app.call('POST', '/api/bots', { body: demo('a') });
    await app.settled();
    const stream = await follow(app, '/api/bots/a/logs?follow=true&tail=0');
    await app.call('DELETE', '/api/bots/a');
    const problem = await until(stream, 'problem');
    expect(['NOT_FOUND', 'BOT_UNAVAILABLE']).toContain(problem.data.code);
    expect(await stream.next()).toBeNull();
  });
});
