import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { BASE, front, mirror, send, upstream } from './front.ts';

const HOST = { host: `b.${BASE}` };
const TOKEN = { authorization: 'Bearer bh_good' };

describe('bots by host name, each with an origin of its own', () => {
  it.each(['/', '/api/bots', '/health', '/bots/b/x', '/bots/other/', '/metrics?x=1', '/../x', '/%E9', '//'])(
    'has %s to itself',
    async (path) => {
      const { body } = await send(await front(await mirror()), path, { headers: { ...HOST, ...TOKEN } });
      expect(JSON.parse(body).url).toBe(path);
    },
  );

  it('is not reached by the name of the API, nor the API by names below the base domain', async () => {
    const port = await front(await mirror());
    for (const host of [BASE, `b${BASE}`, 'b', 'localhost', `b.${BASE}.evil.test`]) {
      expect(await send(port, '/health', { headers: { host, ...TOKEN } })).toMatchObject({ body: 'the API' });
    }
    for (const host of [`c.${BASE}`, `a.b.${BASE}`, `B_.${BASE}`, `.${BASE}`]) {
      expect(await send(port, '/health', { headers: { host, ...TOKEN } })).toMatchObject({ body: 'NOT_FOUND' });
    }
    expect(await send(port, `http://api.test/health`, { headers: { ...HOST, ...TOKEN } })).toMatchObject({
      body: 'INVALID',
    });
    expect(await send(port, '*', { method: 'OPTIONS', headers: { ...HOST, ...TOKEN } })).toMatchObject({
      body: 'INVALID',
    });
  });

  it('lets anybody visit a public bot, who sees no token, but not by path', async () => {
    const port = await front(await mirror(), { isPublic: true });
    const { status, body } = await send(port, '/x', {
      method: 'POST',
      headers: { ...HOST, authorization: 'Bearer bh_stray', cookie: 'bunkhouse_token=bh_good; own=1' },
    });
    expect(status).toBe(200);
    expect(JSON.parse(body).headers).toMatchObject({ cookie: 'own=1' });
    expect(body).not.toContain('bh_');
    expect(await send(port, '/bots/b/x', { headers: {} })).toMatchObject({ body: 'UNAUTHORIZED' });
  });

  it('lets nobody else visit without a token', async () => {
    const port = await front(await mirror());
    expect(await send(port, '/', { headers: HOST })).toMatchObject({ body: 'UNAUTHORIZED' });
    const ws = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: HOST });
    ws.on('error', () => {});
    const [, res] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage];
    expect(res.headers).toMatchObject({ 'x-code': 'UNAUTHORIZED' });
    ws.terminate();
  });

  it('leaves links as they are, keeps cookies to the name, and says which bot answered', async () => {
    const location = `https://b.${BASE}/wp-admin/`;
    const cookies = ['a=1; Path=/; HttpOnly', `b=2; Domain=${BASE}; path=/sub`, 'bunkhouse_token=bh_evil; Path=/'];
    const port = await front(
      await upstream((_req, res) =>
        res
          .writeHead(301, {
            location,
            'set-cookie': cookies,
            'x-container-id': 'forged',
            'clear-site-data': '"cookies"',
          })
          .end(),
      ),
    );
    const { headers } = await send(port, '/', { headers: { ...HOST, ...TOKEN } });
    expect(headers).toMatchObject({
      location,
      'set-cookie': ['a=1; Path=/; HttpOnly', 'b=2; path=/sub'],
      'x-container-id': 'b',
      'x-container-location': 'here',
    });
    expect(headers).not.toHaveProperty('clear-site-data');
  });

  it('believes what a front says of the caller, and nobody else', async () => {
    const said = {
      forwarded: 'for=9.9.9.9',
      'x-real-ip': '9.9.9.9',
      'x-forwarded-for': '9.9.9.9',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.test',
      'x-forwarded-port': '443',
      'x-forwarded-prefix': '/evil',
    };
    const ask = async (trusted: readonly string[]) => {
      const port = await front(await mirror(), { trusted });
      return JSON.parse((await send(port, '/', { headers: { ...HOST, ...TOKEN, ...said } })).body).headers;
    };
    expect(await ask(['10.0.0.0/8', '127.0.0.0/8'])).toMatchObject({
      'x-forwarded-for': '9.9.9.9, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.test',
      'x-real-ip': '9.9.9.9',
    });
    const alone = await ask(['10.0.0.0/8', '::1']);
    expect(alone).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': HOST.host,
    });
    expect(JSON.stringify(alone)).not.toMatch(/9\.9\.9\.9|evil|443/);
  });
});
