import { describe, expect, it } from 'vitest';
import type * as z from 'zod';
import type { UsageReport } from '../../lib/services/usage-api.ts';
import { type App, startApp } from './app.ts';

const HOUR = 3_600_000;

async function withTwoOwners(): Promise<App & { readonly alice: string }> {
  const app = await startApp();
  const alice = await app.ownerToken('alice');
  await app.call('POST', '/api/bots', { token: alice, body: { instanceId: 'a', template: 'demo' } });
  await app.call('POST', '/api/bots', { body: { instanceId: 'b', template: 'demo', owner: 'bob' } });
  await app.settled();
  // Looked at again, so that some time lies between.
  await new Promise((resolve) => setTimeout(resolve, 50));
  await app.call('POST', '/api/pool/health-check');
  return { ...app, alice };
}

describe('GET /api/usage', { timeout: 20_000 }, () => {
  it('has everything of the last day for an administrator, as the schema says', async () => {
    await using app = await withTwoOwners();
    const { status, json } = await app.call('GET', '/api/usage');
    expect(status).toBe(200);
    const route = app.http.routes.find(({ path }) => path === '/api/usage');
    const schema = route?.reply.json as z.ZodObject;
    expect(schema.parse(json)).toEqual(json);
    expect(json.usage).toEqual(
      ['alice', 'bob'].map((owner) => ({
        owner,
        instanceId: owner[0],
        runningSeconds: expect.any(Number),
        pssByteSeconds: expect.any(Number),
        cpuSeconds: expect.any(Number),
      })),
    );
    const { usage, total, from, to } = json as unknown as UsageReport;
    const [first = 0, second = 0] = usage.map((row) => row.runningSeconds);
    expect(first).toBeGreaterThan(0.04);
    expect(total.runningSeconds).toBeCloseTo(first + second, 2);
    expect(Date.parse(to) - Date.parse(from)).toBe(25 * HOUR);
  });

  it('has only their own for an owner', async () => {
    await using app = await withTwoOwners();
    const { json } = await app.call('GET', '/api/usage?by=owner', { token: app.alice });
    expect(json.usage).toEqual([expect.objectContaining({ owner: 'alice', instanceId: null })]);
  });

  it('has nothing of a time in which nothing ran', async () => {
    await using app = await withTwoOwners();
    const { json } = await app.call('GET', '/api/usage?from=2020-01-01&to=2020-01-01T01:00:00%2B00:00');
    expect(json).toMatchObject({
      from: '2020-01-01T00:00:00.000Z',
      to: '2020-01-01T01:00:00.000Z',
      usage: [],
      total: { runningSeconds: 0, pssByteSeconds: 0, cpuSeconds: 0 },
    });
  });

  it.each([
    { what: 'format=csv', query: '?format=csv', accept: 'application/json', csv: true },
    { what: 'Accept: text/csv', query: '', accept: 'text/csv', csv: true },
    { what: 'Accept: */*', query: '', accept: '*/*', csv: false },
    { what: 'format=json against Accept', query: '?format=json', accept: 'text/csv', csv: false },
    { what: 'an Accept nobody can serve', query: '', accept: 'image/png', csv: false },
  ])('answers $what with CSV: $csv', async ({ query, accept, csv }) => {
    await using app = await withTwoOwners();
    const { text, headers } = await app.call('GET', `/api/usage${query}`, { headers: { accept } });
    expect(headers['content-type']).toContain(csv ? 'text/csv; charset=utf-8' : 'application/json');
    if (!csv) return;
    const [head, ...rows] = text.trimEnd().split('\n');
    expect(head).toBe('owner,instanceId,runningSeconds,pssByteSeconds,cpuSeconds');
    expect(rows).toEqual([
      expect.stringMatching(/^alice,a,[\d.]+,\d+,[\d.]+$/),
      expect.stringMatching(/^bob,b,[\d.]+,\d+,[\d.]+$/),
    ]);
  });

  it('has no column of bots in CSV by owner', async () => {
    await using app = await withTwoOwners();
    const { text } = await app.call('GET', '/api/usage?by=owner&format=csv');
    expect(text.split('\n').slice(0, 2)).toEqual([
      'owner,runningSeconds,pssByteSeconds,cpuSeconds',
      expect.stringMatching(/^alice,[\d.]+,\d+,[\d.]+$/),
    ]);
  });
});
