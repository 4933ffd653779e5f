import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSandbox, poll, type Sandbox } from './support.ts';

/** Answers with who it is and what it was asked, and counts the visits of one tenant in a file. */
const SERVER = `
import http.server, json, os, pathlib
class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        visits = pathlib.Path('visits')
        if self.path != '/who': visits.write_text(str(int(visits.read_text() if visits.exists() else 0) + 1))
        count = int(visits.read_text()) if visits.exists() else 0
        said = json.dumps({'name': os.environ['BUNKHOUSE_BOT'], 'method': self.command, 'path': self.path, 'body': body, 'visits': count}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_GET = do_POST = do_PUT = do_DELETE = answer
http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Site).serve_forever()
`;

const template = (name: string, reserve: string): string => `name: ${name}
command: [python3, -u, server.py]
env: { PORT: "{{port}}", HOST: "{{host}}" }
files: [{ path: server.py, text: ${JSON.stringify(SERVER)} }]
readiness: { kind: listen, startupSeconds: 20 }
checks: [{ kind: http, path: /who, json: { name: "{{id}}" } }]
checkEverySeconds: 1
stop: { graceSeconds: 1 }
capacity: 4
lease:
  ttlSeconds: 60
  reserve: { target: ${reserve}, min: 1, batchSpacingSeconds: 0 }
  reset: { steps: [{ kind: clear }] }
`;

interface Reply<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

describe('what other systems call it, with real processes in two locations', () => {
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await createSandbox({
      basePort: 25_900,
      env: {
        LOCATIONS: 'weur,enam',
        POOL_LOCATION_TARGETS: 'enam=1',
        COMPAT_SITE_TEMPLATE: 'site',
        COMPAT_CONTAINER_TEMPLATE: 'box',
        COMPAT_DEMO_TEMPLATE: 'demo',
        COMPAT_DEMO_ADMIN_PATH: 'admin/',
        COMPAT_PUBLIC: 'demo=5,container=1000',
        POOL_TARGET_SIZE: '3',
      },
      templates: {
        'site.yaml': template('site', '1'),
        'box.yaml': template('box', 'null'),
        'demo.yaml': template('demo', '1'),
      },
    });
    await sandbox.start();
  });
  afterAll(() => sandbox.dispose());

  async function call<T = Record<string, unknown>>(
    method: string,
    path: string,
    { token = true, json }: { token?: boolean; json?: unknown } = {},
  ) {
    const response = await fetch(sandbox.url + path, {
      method,
      headers: {
        ...(token ? { authorization: `Bearer ${sandbox.client.token}` } : {}),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal: AbortSignal.timeout(120_000),
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    return { status: response.status, headers: response.headers, body: await response.json() } as Reply<T>;
  }
  const ready = (template: string, counts: Record<string, number>): Promise<true> =>
    poll(`${template} is ready: ${JSON.stringify(counts)}`, 120, async () => {
      const { reserves } = await sandbox.client.get<{
        reserves: { template: string; location: string; ready: number }[];
      }>('/api/pool/reserve');
      const found = reserves.filter((reserve) => reserve.template === template);
      return found.length > 0 && found.every(({ location, ready: count }) => count >= (counts[location] ?? 0));
    });

  it('hands out a site that waits, then makes one, and the pool tells of both', async () => {
    await ready('site', { weur: 1, enam: 1 });
    const status = await call<{ size: number; target: number; sites: { id: string }[] }>('GET', '/pool-status');
    expect(status.body).toMatchObject({ target: 2, size: 2 });
    const { body: site } = await call<{ id: string; url: string }>('POST', '/create-site');
    expect(site).toMatchObject({ success: true, from_pool: true });
    expect(status.body.sites.map(({ id }) => id)).toContain(site.id);
    const page = await fetch(site.url, { headers: { authorization: `Bearer ${sandbox.client.token}` } });
    expect(await page.json()).toMatchObject({ name: site.id, path: '/', visits: 1 });
  });

  it('hands out containers where they are asked for, proxies any method, and gives them on clean', async () => {
    await ready('box', { weur: 3, enam: 1 });
    const anonymous = { token: false };
    const far = await call<{ id: string }>('POST', '/container', { ...anonymous, json: { location: 'enam' } });
    expect(far.status).toBe(200);
    const { id } = far.body;
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      const json = method === 'GET' ? {} : { json: { n: 1 } };
      const { body, headers } = await call(method, `/container/${id}/some/where?x=1`, { ...anonymous, ...json });
      expect(body).toMatchObject({ method, path: '/some/where?x=1', body: method === 'GET' ? '' : '{"n":1}' });
      expect(headers.get('x-container-id')).toBe(id);
      expect(headers.get('x-container-location')).toBe('enam');
    }
    const { body: root } = await call<{ name: string; visits: number }>('POST', `/container/${id}`, anonymous);
    expect(root).toMatchObject({ path: '/', visits: 5 });
    expect((await sandbox.client.bot(root.name)).pool).toBe('box/default/enam');
    expect((await call('POST', '/container', { json: { location: 'sam' } })).body).toMatchObject({
      status: 422,
      code: 'UNKNOWN_LOCATION',
      details: { known: ['weur', 'enam'] },
    });
    await sandbox.client.delete(`/api/leases/${id}`);
    expect((await call('GET', `/container/${id}`, anonymous)).status).toBe(404);
    await ready('box', { weur: 3, enam: 1 });
    const again = await poll('the same bot is handed out again', 60, async () => {
      const { body: next } = await call<{ id: string }>('POST', '/container', { json: { location: 'enam' } });
      const { body } = await call<{ name: string; visits: number }>('GET', `/container/${next.id}/`);
      await sandbox.client.delete(`/api/leases/${next.id}`);
      return body.name === root.name && body;
    });
    expect(again.visits).toBe(1);
    expect((await call('GET', `/container/${id}/`, anonymous)).status).toBe(404);
  });

  it('hands out demos without a token, counts them down, and lets nobody have too many', async () => {
    await ready('demo', { weur: 1, enam: 1 });
    const anonymous = { token: false };
    const { body: demo } = await call<{ id: string; url: string; admin_url: string }>(
      'POST',
      '/api/v1/demo/acquire',
      anonymous,
    );
    expect(demo).toMatchObject({ ttl_seconds: 60, admin_url: `${demo.url}admin/` });
    expect((await call('GET', `/api/v1/demo/${demo.id}`, anonymous)).body).toMatchObject({ state: 'assigned' });
    const extended = await call('POST', `/api/v1/demo/${demo.id}/extend`, { ...anonymous, json: { minutes: 1 } });
    expect(Number(extended.body.ttl_remaining)).toBeGreaterThan(100);
    const stream = await fetch(`${sandbox.url}/api/v1/demo/${demo.id}/status`, { signal: AbortSignal.timeout(60_000) });
    let text = '';
    for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>) {
      text += new TextDecoder().decode(chunk);
      if (text.split('event: ttl').length !== 3) continue;
      await call('DELETE', `/api/v1/demo/${demo.id}`, anonymous);
    }
    expect(text).toMatch(/event: ttl\ndata: \{"id":"\w+","ttl_remaining":\d+,"state":"assigned"\}\n/);
    expect(text.trimEnd()).toMatch(/event: expired\ndata: \{"id":"\w+"\}$/);
    const refused = await call('GET', '/api/v1/pool/stats', anonymous);
    expect(refused).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await call('GET', '/api/v1/pool/stats')).body).toMatchObject({ target: 2, capacity: 1000 });
  });
});
