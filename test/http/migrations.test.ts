import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, startApp } from './app.ts';
import { expectSchema } from './schema-check.ts';

let app: App;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app[Symbol.asyncDispose]());

const ROUTES = [
  ['GET', '/api/migrations'],
  ['POST', '/api/migrations'],
  ['GET', '/api/migrations/a'],
  ['POST', '/api/migrations/a/rollback'],
  ['POST', '/api/migrations/a/finish'],
] as const;

describe('/api/migrations', () => {
  it('tells what there is, as its document says', async () => {
    const { status, json } = await app.call('GET', '/api/migrations');
    expect({ status, json }).toEqual({
      status: 200,
      json: { candidates: [], migrations: [], foreign: [], trouble: [] },
    });
    expectSchema(app, 'GET', '/api/migrations', json);
    const begun = await app.call('POST', '/api/migrations', { body: {} });
    expect(begun).toMatchObject({ status: 202, json: { migrations: [], refused: [] } });
    expectSchema(app, 'POST', '/api/migrations', begun.json);
  });

  it('is for admins', async () => {
    const token = await app.ownerToken('ann');
    for (const [method, path] of ROUTES) {
      const body = method === 'POST' ? { body: {} } : {};
      expect(await app.call(method, path, { token, ...body })).toMatchObject({ status: 403 });
      expect(await app.call(method, path, { token: null, ...body })).toMatchObject({ status: 401 });
    }
  });

  it.each(ROUTES.slice(2))('%s %s of nothing is NOT_FOUND', async (method, path) => {
    const body = method === 'POST' ? { body: {} } : {};
    expect(await app.call(method, path, body)).toMatchObject({ status: 404, json: { code: 'NOT_FOUND' } });
  });

  it.each([
    [{ only: [] }],
    [{ only: ['../a'] }],
    [{ only: 'a' }],
    [{ parallel: 0 }],
    [{ parallel: 1.5 }],
    [{ parallel: 17 }],
    [{ keepDays: -1 }],
    [{ from: 'relative' }],
    [{ from: '/x\0y' }],
    [{ all: true }],
    [[]],
  ])('refuses %j', async (body) => {
    expect(await app.call('POST', '/api/migrations', { body })).toMatchObject({
      status: 400,
      json: { code: 'INVALID' },
    });
  });

  it.each(['from=relative', 'from=', 'all=true'])('refuses ?%s', async (query) => {
    expect(await app.call('GET', `/api/migrations?${query}`)).toMatchObject({ status: 400, json: { code: 'INVALID' } });
  });

  it('says which id is none', async () => {
    const answer = await app.call('POST', '/api/migrations', { body: { only: ['nobody'] } });
    expect(answer).toMatchObject({
      status: 404,
      json: { code: 'NOT_FOUND', detail: expect.stringContaining('nobody') },
    });
  });
});
