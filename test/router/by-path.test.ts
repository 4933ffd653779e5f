import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { front, mirror, send, upstream } from './front.ts';

describe('bots by path, below one origin', () => {
  it('moves Location and cookies below the prefix of the bot', async () => {
    const port = await front(
      await upstream((req, res) => {
        const { to } = Object.fromEntries(new URL(req.url ?? '', 'http://x').searchParams);
        res.writeHead(302, {
          location: to,
          'set-cookie': [
            'a=1; Path=/; HttpOnly',
            'b=2; Domain=example.org; path=/sub',
            'bunkhouse_token=bh_evil; Path=/',
            ' bunkhouse_token\t=bh_evil',
            '=bunkhouse_token=bh_evil',
          ],
          'service-worker-allowed': '/',
        });
        res.end();
      }),
    );
    const locationFor = async (to: string) =>
      (await send(port, `/bots/b/?to=${encodeURIComponent(to)}`)).headers.location;
    expect(await locationFor('/login?next=/x')).toBe('/bots/b/login?next=/x');
    expect(await locationFor('/bots/b/login')).toBe('/bots/b/login');
    expect(await locationFor(`http://127.0.0.1:${port}/login`)).toBe('/bots/b/login');
    expect(await locationFor('relative')).toBe('relative');
    expect(await locationFor('https://elsewhere.example/x')).toBe('https://elsewhere.example/x');
    expect(await locationFor('//elsewhere.example/x')).toBe('//elsewhere.example/x');
    const { headers } = await send(port, '/bots/b/?to=x');
    expect(headers['set-cookie']).toEqual(['a=1; Path=/bots/b/; HttpOnly', 'b=2; path=/bots/b/sub']);
    expect(headers).not.toHaveProperty('service-worker-allowed');
  });

  it('sends the bot without a slash to the one with it', async () => {
    const port = await front(await mirror());
    const answer = await send(port, '/bots/b?x=1');
    expect(answer).toMatchObject({ status: 308 });
    expect(answer.headers.location).toBe('/bots/b/?x=1');
  });

  it('takes a caller of HTTP/1.0, who names no host', async () => {
    const socket = connect(await front(await mirror()), '127.0.0.1');
    socket.write('GET /bots/b/x HTTP/1.0\r\nAuthorization: Bearer bh_good\r\n\r\n');
    const [data] = await once(socket, 'data');
    expect(String(data)).toContain('200 OK');
    socket.destroy();
  });

  it('refuses an upgrade with a path that climbs', async () => {
    const socket = connect(await front(await mirror()), '127.0.0.1');
    socket.write('GET /bots/b/%2e%2e/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const [data] = await once(socket, 'data');
    expect(String(data)).toContain('X-Code: INVALID');
    socket.destroy();
  });
});
