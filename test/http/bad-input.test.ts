import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemSchema } from '../../lib/http/problem.ts';
import { type App, startApp } from './app.ts';

type Who = 'admin' | 'alice' | 'bob' | 'nobody' | 'wrong';

interface Bad {
  readonly what: string;
  readonly who?: Who;
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly raw?: string | Buffer;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly code: string;
  /** Field that the problem names. */
  readonly field?: string;
}

const good = { instanceId: 'new', template: 'demo' };
const create = (what: string, body: unknown, field?: string): Bad => ({
  what,
  method: 'POST',
  path: '/api/bots',
  body,
  status: 400,
  code: 'INVALID',
  ...(field === undefined ? {} : { field }),
});

const TABLE: readonly Bad[] = [
  ...[
    ['a time that is none', 'from=yesterday', 'from'],
    ['a day that does not exist', 'to=2026-02-30', 'to'],
    ['a time without a zone', 'from=2026-05-01T10:00:00', 'from'],
    ['seconds since the epoch', 'from=1780000000', 'from'],
    ['an empty time', 'from=', 'from'],
    ['two times', 'from=2026-05-01&from=2026-05-02', 'from'],
    ['an owner that cannot be', 'owner=../x', 'owner'],
    ['rows of something else', 'by=pool', 'by'],
    ['a format nobody knows', 'format=xml', 'format'],
    ['a misspelt field', 'since=2026-05-01', 'since'],
    ['a time that ends before it begins', 'from=2026-05-02&to=2026-05-01'],
    ['no time at all', 'from=2026-05-01&to=2026-05-01'],
    ['a time that begins in the future', 'from=2999-01-01'],
  ].map(
    ([what = '', query, field]): Bad => ({
      what: `${what} in the question for usage`,
      path: `/api/usage?${query}`,
      status: 400,
      code: 'INVALID',
      ...(field === undefined ? {} : { field }),
    }),
  ),
  {
    what: "another owner's usage",
    who: 'alice',
    path: '/api/usage?owner=bob',
    status: 403,
    code: 'FORBIDDEN',
  },
  { what: 'usage without a token', who: 'nobody', path: '/api/usage', status: 401, code: 'UNAUTHORIZED' },
  create('an unknown template', { ...good, template: 'nothing' }),
  create('an unknown field', { ...good, colour: 'red' }, 'colour'),
  create('an unknown field of limits', { ...good, limits: { ram: 1 } }, 'limits.ram'),
  create('no instanceId', { template: 'demo' }, 'instanceId'),
  create('a number as instanceId', { ...good, instanceId: 7 }, 'instanceId'),
  create('an array as body', [good]),
  create('a string as body', 'demo'),
  create('null as body', null),
  ...['../x', 'a/b', '.hidden', '-a', '', 'a\0b', 'a b', 'ä', 'a'.repeat(64), '..', 'a;rm'].map((id) =>
    create(`${JSON.stringify(id).slice(0, 20)} as instanceId`, { ...good, instanceId: id }, 'instanceId'),
  ),
  ...['../x', '/etc/passwd', 'a/../b', 'a//b', './a', 'a\\b', '', 'a/'].map((path) =>
    create(`${JSON.stringify(path)} as a file`, { ...good, files: { [path]: 'x' } }, `files.${path}`),
  ),
  create('a file that is neither text nor base64', { ...good, files: { a: { text: 'x' } } }, 'files.a'),
  create('a file that is not base64', { ...good, files: { a: { base64: '%%%' } } }, 'files.a.base64'),
  create('a file of null', { ...good, files: { a: null } }, 'files.a'),
  create('a bad name of a variable', { ...good, env: { 'A=B': 'x' } }, 'env.A=B'),
  create('NUL in a variable', { ...good, env: { A: 'x\0y' } }, 'env.A'),
  create('NUL in an argument', { ...good, args: ['x\0y'] }, 'args.0'),
  create('a negative limit', { ...good, limits: { memoryBytes: -1 } }, 'limits.memoryBytes'),
  {
    ...create('a limit of infinity', undefined, 'limits.memoryBytes'),
    raw: '{"instanceId":"new","template":"demo","limits":{"memoryBytes":1e400}}',
  },
  create('a ceiling too low to live below', { ...good, limits: { pssBytes: 2 ** 24 - 1 } }, 'limits.pssBytes'),
  create('a directory without room', { ...good, limits: { diskBytes: 2 ** 20 - 1 } }, 'limits.diskBytes'),
  create('no weight at all', { ...good, limits: { cpuWeight: 0 } }, 'limits.cpuWeight'),
  create('a weight of null', { ...good, limits: { cpuWeight: null } }, 'limits.cpuWeight'),
  create('a niceness that would be unkind', { ...good, limits: { nice: -20 } }, 'limits.nice'),
  create('a desired state that is none', { ...good, desired: 'deleted' }, 'desired'),
  create('an owner with a slash', { ...good, owner: 'a/b' }, 'owner'),
  { ...create('another location', { ...good, location: 'mars' }), status: 422, code: 'UNKNOWN_LOCATION' },
  { ...create('text that is not JSON', undefined), raw: '{"instanceId": ' },
  { ...create('bytes that are not UTF-8', undefined), raw: Buffer.from([0x22, 0xff, 0xfe, 0x22]) },
  {
    ...create('a __proto__', undefined, '__proto__'),
    raw: '{"instanceId":"new","template":"demo","__proto__":{"owner":"x"}}',
  },
  { ...create('JSON nested very deep', undefined), raw: '['.repeat(30_000) },
  {
    what: 'another content type',
    method: 'POST',
    path: '/api/bots',
    raw: JSON.stringify(good),
    headers: { 'content-type': 'text/plain' },
    status: 415,
    code: 'UNSUPPORTED_MEDIA_TYPE',
  },
  {
    what: 'a body in gzip',
    method: 'POST',
    path: '/api/bots',
    raw: JSON.stringify(good),
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    status: 415,
    code: 'UNSUPPORTED_MEDIA_TYPE',
  },
  {
    what: 'a body over the limit',
    method: 'POST',
    path: '/api/bots',
    body: { ...good, files: { big: 'x'.repeat(100_000) } },
    status: 413,
    code: 'TOO_LARGE',
  },
  {
    what: 'a body over the limit that does not say its length',
    method: 'POST',
    path: '/api/bots',
    body: { ...good, files: { big: 'x'.repeat(100_000) } },
    headers: { 'transfer-encoding': 'chunked' },
    status: 413,
    code: 'TOO_LARGE',
  },
  {
    what: 'an id that is taken',
    method: 'POST',
    path: '/api/bots',
    body: { ...good, instanceId: 'bobs' },
    status: 409,
    code: 'CONFLICT',
  },
  {
    what: 'a bot for another owner',
    who: 'alice',
    method: 'POST',
    path: '/api/bots',
    body: { ...good, owner: 'bob' },
    status: 403,
    code: 'FORBIDDEN',
  },
  {
    what: 'a trust group chosen by an owner',
    who: 'alice',
    method: 'POST',
    path: '/api/bots',
    body: { ...good, group: 'x' },
    status: 403,
    code: 'FORBIDDEN',
  },
  { what: 'no token', who: 'nobody', path: '/api/bots', status: 401, code: 'UNAUTHORIZED' },
  { what: 'a wrong token', who: 'wrong', path: '/api/bots', status: 401, code: 'UNAUTHORIZED' },
  {
    what: 'no token and a bad body',
    who: 'nobody',
    method: 'POST',
    path: '/api/bots',
    raw: '{',
    status: 401,
    code: 'UNAUTHORIZED',
  },
  { what: 'a token in the query', who: 'nobody', path: '/api/bots?token=bh_x', status: 401, code: 'UNAUTHORIZED' },
  ...[
    'GET /api/pool/status',
    'POST /api/pool/health-check',
    'POST /api/pool/cleanup',
    'GET /api/pool/plan',
    'GET /metrics',
    'GET /api/tokens',
  ].map((route): Bad => {
    const [method = '', path = ''] = route.split(' ');
    return { what: `${route} by an owner`, who: 'alice', method, path, status: 403, code: 'FORBIDDEN' };
  }),
  {
    what: 'a token made by an owner',
    who: 'alice',
    method: 'POST',
    path: '/api/tokens',
    body: { role: 'admin' },
    status: 403,
    code: 'FORBIDDEN',
  },
  ...[
    'GET /api/bots/bobs',
    'PATCH /api/bots/bobs',
    'DELETE /api/bots/bobs',
    'POST /api/bots/bobs/start',
    'POST /api/bots/bobs/stop',
    'POST /api/bots/bobs/restart',
    'POST /api/bots/bobs/pause',
    'GET /api/bots/bobs/logs',
    'GET /api/bots/bobs/logs?follow=true',
    'GET /api/pool/bot/bobs',
    'GET /bots/bobs/',
  ].flatMap((route): Bad[] => {
    const [method = '', path = ''] = route.split(' ');
    const missing = path.replace('bobs', 'missing');
    return [
      { what: `${route} by another owner`, who: 'alice', method, path, status: 404, code: 'NOT_FOUND' },
      { what: `${method} ${missing}`, who: 'alice', method, path: missing, status: 404, code: 'NOT_FOUND' },
    ];
  }),
  ...['constructor', 'toString', 'hasOwnProperty'].map(
    (id): Bad => ({ what: `a bot called ${id}`, path: `/api/bots/${id}`, status: 404, code: 'NOT_FOUND' }),
  ),
  ...[
    '/api/bots/..',
    '/api/bots/%2e%2e',
    '/api/bots/a%2Fb',
    '/api/bots/a%5Cb',
    '/api/bots/%00',
    '/api/bots/%zz',
    '/api/bots/..%2f..%2fetc/logs',
    '/api/pool/bot/%2e',
    '/bots/bobs/%2e%2e/x',
    '/bots/bobs/../x',
    '/bots/..%2f/x',
  ].map((path): Bad => ({ what: `the path ${path}`, path, status: 400, code: 'INVALID' })),
  { what: 'an unknown query', path: '/api/bots?colour=red', status: 400, code: 'INVALID', field: 'colour' },
  { what: 'a page of none', path: '/api/bots?limit=0', status: 400, code: 'INVALID', field: 'limit' },
  { what: 'a page of too many', path: '/api/bots?limit=1001', status: 400, code: 'INVALID', field: 'limit' },
  { what: 'a query given twice', path: '/api/bots?limit=1&limit=2', status: 400, code: 'INVALID', field: 'limit' },
  { what: 'a state that is none', path: '/api/bots?state=happy', status: 400, code: 'INVALID', field: 'state' },
  { what: 'a tail that is no number', path: '/api/bots/bobs/logs?tail=x', status: 400, code: 'INVALID', field: 'tail' },
  {
    what: 'dryRun neither true nor false',
    method: 'POST',
    path: '/api/pool/cleanup?dryRun=maybe',
    status: 400,
    code: 'INVALID',
    field: 'dryRun',
  },
  {
    what: 'a body where none belongs',
    method: 'POST',
    path: '/api/bots/bobs/stop',
    body: { force: true },
    status: 400,
    code: 'INVALID',
    field: 'force',
  },
  {
    what: 'an id of another stream',
    path: '/api/events',
    headers: { 'last-event-id': 'x' },
    status: 400,
    code: 'INVALID',
    field: 'Last-Event-ID',
  },
  {
    what: 'an unknown role',
    method: 'POST',
    path: '/api/tokens',
    body: { role: 'king' },
    status: 400,
    code: 'INVALID',
  },
  {
    what: 'a token for an owner who is an admin as well',
    method: 'POST',
    path: '/api/tokens',
    body: { role: 'admin', owner: 'a' },
    status: 400,
    code: 'INVALID',
  },
  {
    what: 'a token id that is none',
    method: 'DELETE',
    path: '/api/tokens/x',
    status: 400,
    code: 'INVALID',
    field: 'id',
  },
  {
    what: 'a token that is not there',
    method: 'DELETE',
    path: '/api/tokens/00000000-0000-4000-8000-000000000000',
    status: 404,
    code: 'NOT_FOUND',
  },
  {
    what: 'an idempotency key where the answer is secret',
    method: 'POST',
    path: '/api/tokens',
    body: { owner: 'a' },
    headers: { 'idempotency-key': 'k' },
    status: 400,
    code: 'INVALID',
    field: 'Idempotency-Key',
  },
  {
    what: 'an idempotency key that is too long',
    method: 'POST',
    path: '/api/bots',
    body: good,
    headers: { 'idempotency-key': 'k'.repeat(256) },
    status: 400,
    code: 'INVALID',
    field: 'Idempotency-Key',
  },
  { what: 'pausing what cannot pause', method: 'POST', path: '/api/bots/bobs/pause', status: 501, code: 'UNSUPPORTED' },
  ...['/', '/api', '/api/', '/api/bots/', '/api/nothing', '/API/bots', '/docs'].map(
    (path): Bad => ({ what: `the unknown path ${path}`, path, status: 404, code: 'NOT_FOUND' }),
  ),
];

const WRONG_METHODS: readonly [string, string, string][] = [
  ['PUT', '/api/bots', 'HEAD, GET, POST'],
  ['DELETE', '/api/bots', 'HEAD, GET, POST'],
  ['POST', '/api/bots/bobs', 'HEAD, GET, PATCH, DELETE'],
  ['GET', '/api/bots/bobs/stop', 'POST'],
  ['POST', '/health', 'HEAD, GET'],
  ['OPTIONS', '/api/tokens', 'POST, HEAD, GET'],
];

describe('bad input', () => {
  let app: App;
  let tokens: Record<Who, string | null>;

  beforeAll(async () => {
    app = await startApp({ maxBodyBytes: 64 * 1024 });
    tokens = {
      admin: app.adminToken,
      alice: await app.ownerToken('alice'),
      bob: await app.ownerToken('bob'),
      nobody: null,
      wrong: 'bh_wrong',
    };
    const created = await app.call('POST', '/api/bots', { token: tokens.bob, body: { ...good, instanceId: 'bobs' } });
    expect(created.status).toBe(201);
    await app.settled();
  });
  afterAll(() => app.close());

  /** What a request could have changed. */
  const state = () => {
    const { bots, tokens: made, replies } = app.store.current();
    return structuredClone({ bots, made, replies });
  };

  it.each(TABLE.map((bad) => [bad.what, bad] as const))('%s is refused and changes nothing', async (_what, bad) => {
    const before = state();
    const { who = 'admin', method = 'GET', path, body, raw, headers = {} } = bad;
    const answer = await app.call(method, path, { token: tokens[who], body, raw, headers });
    expect(answer).toMatchObject({ status: bad.status, json: { code: bad.code, status: bad.status } });
    expect(answer.headers['content-type']).toBe('application/problem+json');
    const problem = problemSchema.parse(answer.json);
    expect(problem.detail).not.toBe('');
    expect(problem.instance).toBe(`urn:uuid:${answer.headers['x-request-id']}`);
    if (bad.field !== undefined) expect(problem.errors?.map((error) => error.path)).toContain(bad.field);
    if (bad.status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer realm="bunkhouse"');
    expect(state()).toEqual(before);
  });

  it('says the same of a bot that is another owner’s as of one that is not there', async () => {
    const ask = async (id: string) => {
      const { json } = await app.call('GET', `/api/bots/${id}`, { token: tokens.alice });
      return { ...json, instance: '', detail: String(json.detail).replace(id, 'ID') };
    };
    expect(await ask('bobs')).toEqual(await ask('missing'));
  });

  it.each(WRONG_METHODS)('%s %s is answered with the methods there are', async (method, path, allow) => {
    const answer = await app.call(method, path, { token: tokens.admin });
    expect(answer).toMatchObject({ status: 405, json: { code: 'METHOD_NOT_ALLOWED' } });
    expect(String(answer.headers.allow).split(', ').sort()).toEqual(allow.split(', ').sort());
  });

  it('says nothing of what a secret field held', async () => {
    const body = { ...good, env: { KEY: { secret: 'hunter2' } }, password: 'hunter2' };
    const answer = await app.call('POST', '/api/bots', { token: tokens.admin, body });
    expect(answer.status).toBe(400);
    expect(JSON.stringify(answer.json)).not.toContain('hunter2');
    const raw = await app.call('POST', '/api/bots', { token: tokens.admin, raw: '{"key": hunter2}' });
    expect(JSON.stringify(raw.json)).not.toContain('hunter2');
  });

  it('answers a body far over the limit, and goes on', async () => {
    const big = await app.call('POST', '/api/bots', { token: tokens.admin, raw: 'x'.repeat(3_000_000) });
    expect(big.status).toBe(413);
    expect(await app.call('GET', '/health', { token: null })).toMatchObject({ status: 200 });
  });
});
