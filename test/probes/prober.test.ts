import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { messageOf } from '../../lib/domain/errors.ts';
import type { HealthCheck } from '../../lib/domain/template.ts';
import type { Address, Prober } from '../../lib/probes/probe.ts';
import { createProber } from '../../lib/probes/prober.ts';

let server: Server | null = null;
let prober: Prober;

beforeEach(() => {
  prober = createProber();
});
afterEach(async () => {
  await prober.close();
  server?.closeAllConnections();
  server?.close();
  server = null;
});

function serve(listener: RequestListener): Promise<Address> {
  const created = createServer(listener);
  server = created;
  return new Promise((resolve) => {
    created.listen(0, '127.0.0.1', () => resolve({ host: '127.0.0.1', port: (created.address() as AddressInfo).port }));
  });
}

const identity: HealthCheck = {
  kind: 'http',
  timeoutSeconds: 0.3,
  path: '/who',
  headers: { authorization: 'Basic c2VjcmV0' },
  status: 200,
  json: { name: 'a' },
};

describe('health checks', () => {
  it.each<{ desc: string; listener: RequestListener; want: string }>([
    { desc: 'the right answer', listener: (_, reply) => void reply.end('{"name":"a"}'), want: '' },
    {
      desc: "another's answer",
      listener: (_, reply) => void reply.end('{"name":"b"}'),
      want: '/who is answered by another: its name is not that of this bot',
    },
    {
      desc: 'no JSON',
      listener: (_, reply) => void reply.end('hello'),
      want: '/who did not answer with a JSON object',
    },
    {
      desc: 'another status',
      listener: (_, reply) => void reply.writeHead(401).end(),
      want: '/who answered 401, not 200',
    },
    {
      desc: 'a redirect',
      listener: (_, reply) => void reply.writeHead(302, { location: '/' }).end(),
      want: '/who answered 302, not 200',
    },
  ])('$desc', async ({ listener, want }) => {
    const result = await prober.check(await serve(listener), [identity]);
    expect(result).toEqual({ ok: want === '', reason: want });
  });

  it('sends the headers of the check', async () => {
    let seen: string | undefined;
    const address = await serve((request, reply) => {
      seen = request.headers.authorization;
      reply.end('{"name":"a"}');
    });
    await prober.check(address, [identity]);
    expect(seen).toBe('Basic c2VjcmV0');
  });

  it.each<{ desc: string; listener: RequestListener }>([
    { desc: 'never answers', listener: () => {} },
    { desc: 'never ends its answer', listener: (_, reply) => void reply.write('{"name":') },
    { desc: 'answers without end', listener: (_, reply) => void reply.end('x'.repeat(1024 * 1024)) },
  ])('gives up on one that $desc, without telling its headers', async ({ listener }) => {
    const result = await prober.check(await serve(listener), [identity]);
    expect(result.ok).toBe(false);
    expect(result.reason).not.toBe('');
    expect(result.reason).not.toContain('c2VjcmV0');
  });

  it('tells no secret of a query or an expected field', async () => {
    const path = '/who?token=hush';
    const answer = await serve((request, reply) => void reply.end(request.url === path ? '{"name":"b"}' : ''));
    const checks = [{ ...identity, path, json: { name: 'hush' } }];
    const nobody = { host: '127.0.0.1', port: 1 };
    const call = { method: 'POST' as const, path, headers: {} };
    const results = await Promise.all([prober.check(answer, checks), prober.check(nobody, checks)]);
    const reasons = [...results.map((result) => result.reason), await prober.call(nobody, call).catch(messageOf)];
    expect(reasons).toEqual([
      '/who is answered by another: its name is not that of this bot',
      expect.stringMatching(/^\/who: /),
      expect.stringMatching(/^POST \/who: /),
    ]);
  });

  it('stops at the first check that fails', async () => {
    const address = await serve((_, reply) => void reply.end('{"name":"a"}'));
    expect(await prober.check(address, [{ kind: 'tcp', timeoutSeconds: 1 }, identity])).toEqual({
      ok: true,
      reason: '',
    });
    const nobody = { host: '127.0.0.1', port: 1 };
    const result = await prober.check(nobody, [{ kind: 'tcp', timeoutSeconds: 1 }, identity]);
    expect(result.reason).toContain('port 1: ');
  });
});

describe('control calls', () => {
  const call = { method: 'POST' as const, path: '/pause', headers: {} };

  it('are done when the bot says 2xx', async () => {
    const address = await serve((request, reply) => void reply.writeHead(request.method === 'POST' ? 204 : 405).end());
    await prober.call(address, call);
  });

  it('throw BOT_UNAVAILABLE otherwise', async () => {
    const address = await serve((_, reply) => void reply.writeHead(500).end());
    await expect(prober.call(address, call)).rejects.toMatchObject({
      code: 'BOT_UNAVAILABLE',
      message: 'POST /pause answered 500',
    });
    await expect(prober.call({ host: '127.0.0.1', port: 1 }, call)).rejects.toMatchObject({ code: 'BOT_UNAVAILABLE' });
  });
});

describe('questions', () => {
  const question = { path: '/facts?key=secret', headers: { Authorization: 'Bearer a' } };

  it('are answered with JSON', async () => {
    const address = await serve(
      (request, reply) => void reply.end(JSON.stringify([request.method, request.headers.authorization])),
    );
    expect(await prober.ask(address, question)).toEqual(['GET', 'Bearer a']);
  });

  it.each([
    [500, '{}', 'GET /facts answered 500'],
    [200, 'hello', 'GET /facts did not answer with JSON'],
  ])('throw BOT_UNAVAILABLE for %i %s, without what may be secret', async (status, body, message) => {
    const address = await serve((_, reply) => void reply.writeHead(status).end(body));
    await expect(prober.ask(address, question)).rejects.toMatchObject({ code: 'BOT_UNAVAILABLE', message });
  });
});
