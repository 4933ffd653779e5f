import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { SupervisordAgent } from '../../lib/supervisord/client.ts';
import type { Endpoint } from '../../lib/supervisord/config.ts';
import { XmlRpcTransport } from '../../lib/supervisord/transport.ts';
import { decodeCall, encodeResponse } from '../../lib/supervisord/xmlrpc.ts';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';

const PASSWORD = 'open-sesame';
const OBSERVATION = {
  incarnation: 'i1',
  cursor: 7,
  protocol: 3,
  directory: '/box',
  python: '3.11.2',
  isolatesUsers: true,
  overhead: null,
  zygotes: [],
  services: [],
  cgroups: { made: false, reason: '' },
  bots: [],
  directories: [],
  dormant: [{ bot: 'b', slot: 1, generation: 4 }],
  serviceDirectories: [],
};

type Handler = (
  call: { method: string; argument: unknown; request: IncomingMessage },
  response: ServerResponse,
) => void;

/** A server on which supervisord's side is played by the test, and what must be closed after it. */
const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.reverse().splice(0)) await close();
});

async function serve(handler: Handler, socketPath?: string): Promise<Endpoint> {
  const server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    const { method, params } = decodeCall(body);
    handler({ method, argument: JSON.parse(String(params[0])), request }, response);
  });
  await new Promise<void>((resolve) => {
    if (socketPath === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(socketPath, resolve);
  });
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  if (socketPath !== undefined) return { kind: 'unix', path: socketPath };
  const { port } = server.address() as AddressInfo;
  return { kind: 'http', host: '127.0.0.1', port, username: 'bunkhouse', password: PASSWORD };
}

function connect(endpoint: Endpoint): SupervisordAgent {
  const agent = new SupervisordAgent(endpoint);
  closers.push(() => agent.close());
  return agent;
}

const answer = (response: ServerResponse, value: unknown): void => {
  response.end(encodeResponse({ kind: 'value', value: JSON.stringify(value) }));
};

async function failureOf(work: Promise<unknown>): Promise<BunkhouseError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BunkhouseError)) throw new Error(`expected a BunkhouseError, got ${error}`);
  return error;
}

describe('supervisord client', () => {
  it('authenticates over HTTP and sends one string of JSON', async () => {
    const seen: unknown[] = [];
    const endpoint = await serve(({ method, argument, request }, response) => {
      seen.push(method, argument, request.headers.authorization, request.url);
      answer(response, { file: 'f', offset: 0, size: 3, data: 'é\n', next: 3, unheard: 'of' });
    });
    const chunk = { file: 'f', offset: 0, next: 3, size: 3, data: 'é\n' };
    expect(await connect(endpoint).log('ann', -5, 10)).toEqual(chunk);
    const basic = `Basic ${Buffer.from(`bunkhouse:${PASSWORD}`).toString('base64')}`;
    expect(seen).toEqual(['bunkhouse.log', { bot: 'ann', offset: -5, length: 10 }, basic, '/RPC2']);
  });

  it('speaks over a Unix socket', async () => {
    const folder = await makeTempDir();
    closers.push(() => removeDir(folder));
    const endpoint = await serve((_, response) => answer(response, OBSERVATION), join(folder, 's.sock'));
    expect(await connect(endpoint).observe()).toEqual(OBSERVATION);
  });

  it.each([
    [1001, 'STALE_GENERATION'],
    [1002, 'INVALID'],
    [1003, 'CONFLICT'],
    [1004, 'NOT_FOUND'],
    [1005, 'INTERNAL'],
    [1, 'AGENT_UNAVAILABLE'],
    [6, 'AGENT_UNAVAILABLE'],
  ])('maps fault %i to %s', async (code, expected) => {
    const endpoint = await serve((_, response) =>
      response.end(
        encodeResponse({
          kind: 'fault',
          code,
          message: 'UNKNOWN: generation 3 of ann is older than 9, which was seen',
        }),
      ),
    );
    const error = await failureOf(connect(endpoint).observe());
    expect(error.code).toBe(expected);
    expect(error.message).not.toMatch(/^UNKNOWN/);
    if (code === 1001) expect(error.details).toEqual({ generation: 9 });
  });

  it.each<[string, Handler]>([
    ['a refused password', (_, response) => response.writeHead(401).end('Error 401')],
    ['another status', (_, response) => response.writeHead(500).end('Error 500')],
    ['a page of HTML', (_, response) => response.end('<html></html>')],
    ['an empty answer', (_, response) => response.end()],
    ['no JSON', (_, response) => response.end(encodeResponse({ kind: 'value', value: 'nonsense {' }))],
    ['a number instead of text', (_, response) => response.end(encodeResponse({ kind: 'value', value: 3 }))],
    ['missing fields', (_, response) => answer(response, { ...OBSERVATION, bots: undefined })],
    ['wrong fields', (_, response) => answer(response, { ...OBSERVATION, cursor: 'seven' })],
    ['another protocol', (_, response) => answer(response, { ...OBSERVATION, protocol: 4 })],
    ['a broken connection', (_, response) => response.destroy()],
    [
      'a cut answer',
      (_, response) => response.writeHead(200, { 'content-length': 500 }).write('<', () => response.destroy()),
    ],
    ['more than can be right', (_, response) => response.end(Buffer.alloc(17 * 1024 * 1024, 'x'))],
  ])('takes %s for AGENT_UNAVAILABLE, without naming the password', async (_, handler) => {
    const error = await failureOf(connect(await serve(handler)).observe());
    expect(error.code).toBe('AGENT_UNAVAILABLE');
    const basic = Buffer.from(`bunkhouse:${PASSWORD}`).toString('base64');
    const everything = [error.message, error.stack, String(error.cause), JSON.stringify(error.details)].join();
    expect(everything).not.toContain(PASSWORD);
    expect(everything).not.toContain(basic);
  });

  it('says what to do about a plugin of another protocol', async () => {
    const endpoint = await serve((_, response) => answer(response, { ...OBSERVATION, protocol: 4 }));
    expect((await failureOf(connect(endpoint).observe())).message).toContain('rebuild the container');
  });

  it('takes a server that is not there for AGENT_UNAVAILABLE', async () => {
    const endpoint = { kind: 'http', host: '127.0.0.1', port: 1, username: 'u', password: PASSWORD } as const;
    expect((await failureOf(connect(endpoint).observe())).code).toBe('AGENT_UNAVAILABLE');
    const missing = { kind: 'unix', path: '/nonexistent/supervisor.sock' } as const;
    expect((await failureOf(connect(missing).observe())).code).toBe('AGENT_UNAVAILABLE');
  });

  it('goes on after the server was started again', async () => {
    const folder = await makeTempDir();
    closers.push(() => removeDir(folder));
    const path = join(folder, 's.sock');
    const first = await serve((_, response) => answer(response, OBSERVATION), path);
    const agent = connect(first);
    await agent.observe();
    await closers.splice(1, 1)[0]?.();
    expect((await failureOf(agent.observe())).code).toBe('AGENT_UNAVAILABLE');
    await serve((_, response) => answer(response, { ...OBSERVATION, incarnation: 'i2' }), path);
    expect((await agent.observe()).incarnation).toBe('i2');
  });

  it('keeps calls from queueing behind those that are held back', async () => {
    const held: ServerResponse[] = [];
    const endpoint = await serve(({ method }, response) => {
      if (method === 'bunkhouse.observe') answer(response, OBSERVATION);
      else held.push(response);
    });
    const agent = connect(endpoint);
    const waiting = [1, 2, 3, 4].map((cursor) => agent.wait(cursor, 30));
    const archiving = agent.archive('ann');
    for (let count = 0; count < 10; count++) expect(await agent.observe()).toEqual(OBSERVATION);
    while (held.length < 5) await new Promise((resolve) => setImmediate(resolve));
    const closed = Promise.allSettled([...waiting, archiving]);
    await agent.close();
    expect((await closed).map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(
      Array(5).fill('AGENT_UNAVAILABLE'),
    );
  });

  it('breaks off a wait that is aborted, also on the other side', async () => {
    const gone = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const endpoint = await serve(({ request }) => {
      request.socket.once('close', () => gone.resolve());
      begun.resolve();
    });
    const abort = new AbortController();
    const failure = failureOf(connect(endpoint).wait(1, 30, abort.signal));
    await begun.promise;
    abort.abort();
    expect((await failure).code).toBe('AGENT_UNAVAILABLE');
    await gone.promise;
    const late = await failureOf(connect(endpoint).wait(1, 30, abort.signal));
    expect(late.code).toBe('AGENT_UNAVAILABLE');
  });

  it('says DEADLINE when an answer does not come in time', async () => {
    const transport = new XmlRpcTransport(await serve(() => {}));
    closers.push(() => transport.close());
    const error = await failureOf(transport.call('bunkhouse.observe', ['{}'], { silenceMs: 1_000 }));
    expect(error.code).toBe('DEADLINE');
  });

  it('takes pieces of an archive that are no base64 for AGENT_UNAVAILABLE', async () => {
    const endpoint = await serve((_, response) => answer(response, { data: '§§', eof: true }));
    expect((await failureOf(connect(endpoint).fetchArchive('a', 0, 10))).code).toBe('AGENT_UNAVAILABLE');
  });
});
