import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createCaddyFront } from '../../../lib/router/caddy/caddy-front.ts';
import type { Front } from '../../../lib/services/front.ts';
import { type AcmeServer, PEBBLE, startAcmeServer } from '../../support/acme-server.ts';
import { CADDY, type CaddyServer, startCaddy } from '../../support/caddy.ts';
import { selfSigned } from '../../support/self-signed.ts';
import { visit } from '../../support/visit.ts';
import { waitFor } from '../../support/wait-for.ts';
import { listen } from '../front.ts';

const BASE = 'bots.example.org';
const HOSTS = [`a.${BASE}`, `b.${BASE}`];

/** The operator's own: a site, a policy for all names, and a server at another port. */
const OPERATORS = {
  http: { servers: { theirs: { listen: ['127.0.0.1:0'], routes: [{ '@id': 'own', handle: [] }] } } },
  tls: { automation: { policies: [{ subjects: ['theirs.example.org'] }, { issuers: [{ module: 'internal' }] }] } },
} as const;

function frontOf(caddy: CaddyServer, dial: number, acme: AcmeServer | null): Front {
  const front = createCaddyFront({
    admin: caddy.admin,
    name: 'bunkhouse',
    httpsPort: caddy.httpsPort,
    dial: `127.0.0.1:${dial}`,
    caFile: acme?.caFile ?? null,
    acme: acme && { baseDomain: BASE, directory: acme.directory, email: 'me@example.org', caFile: acme.caFile },
  });
  onTestFinished(() => front.close());
  return front;
}

async function caddyFor(...options: Parameters<typeof startCaddy>): Promise<CaddyServer> {
  const caddy = await startCaddy(...options);
  onTestFinished(() => caddy.dispose());
  return caddy;
}

describe.skipIf(!CADDY)('Caddy as the front', { timeout: 60_000 }, () => {
  it.each(['TCP', 'a Unix socket'])(
    'is given its part over %s, once, and the rest of its configuration stays',
    async (way) => {
      const caddy = await caddyFor(() => OPERATORS, way !== 'TCP');
      const front = frontOf(caddy, 1, null);
      const before = await caddy.config();
      expect(await front.serve(HOSTS)).toEqual({ ok: true, reason: '' });
      const after = (await caddy.config()) as { apps: { http: { servers: Record<string, unknown> } } };
      const { bunkhouse, ...others } = after.apps.http.servers;
      expect(JSON.stringify(bunkhouse)).toContain(JSON.stringify([{ host: HOSTS }]));
      expect({ ...after, apps: { ...after.apps, http: { ...after.apps.http, servers: others } } }).toEqual(before);
      const edits = () => caddy.output().split('"method":"P').length - 1;
      expect(edits()).toBe(1);
      expect(await front.serve(HOSTS)).toMatchObject({ ok: true });
      expect(edits()).toBe(1);
      expect(await front.serve([])).toMatchObject({ ok: true });
      expect(await caddy.config()).toEqual(before);
    },
  );

  it('is given it again when it has come back empty', async () => {
    const caddy = await caddyFor();
    const front = frontOf(caddy, 1, null);
    await front.serve(HOSTS);
    await caddy.stop('SIGKILL');
    expect(await front.serve(HOSTS)).toMatchObject({ ok: false, reason: expect.stringContaining('does not answer') });
    await caddy.start();
    expect(JSON.stringify(await caddy.config())).not.toContain('bunkhouse');
    expect(await front.serve(HOSTS)).toMatchObject({ ok: true });
    expect(JSON.stringify(await caddy.config())).toContain(HOSTS[0]);
  });

  it.each(['TCP', 'a Unix socket'])(
    'loads its configuration anew as it is when it is to try again, over %s',
    async (way) => {
      const caddy = await caddyFor(() => OPERATORS, way !== 'TCP');
      const front = frontOf(caddy, 1, null);
      await front.serve(HOSTS);
      const before = await caddy.config();
      const loads = () => caddy.output().split('started background certificate maintenance').length - 1;
      const loaded = loads();
      expect(await front.retry()).toEqual({ ok: true, reason: '' });
      await waitFor('it is loaded', () => loads() > loaded);
      expect(await caddy.config()).toEqual(before);
    },
  );

  it('says what Caddy has against it, such as a port that is another server’s', async () => {
    const caddy = await caddyFor();
    const taken = frontOf(caddy, 1, null);
    await taken.serve(HOSTS);
    const other = createCaddyFront({
      ...{
        admin: caddy.admin,
        name: 'second',
        httpsPort: caddy.httpsPort,
        dial: '127.0.0.1:1',
        caFile: null,
        acme: null,
      },
    });
    onTestFinished(() => other.close());
    const { ok, reason } = await other.serve(['c.example.org']);
    expect(ok).toBe(false);
    expect(reason).toMatch(/Caddy refuses \(400\): .*repeated|already/);
    expect(JSON.stringify(await caddy.config())).not.toContain('second');
  });

  it('is not believed with a certificate of an unknown authority, of another name, or none', async () => {
    const caddy = await caddyFor((folder) => {
      const { certFile, keyFile } = selfSigned(folder, 'x', `DNS:*.${BASE}`);
      const files = [{ certificate: certFile, key: keyFile }];
      return { tls: { certificates: { load_files: files } } };
    });
    const bunkhouse = createServer((req, res) => res.end(`${req.headers['x-forwarded-proto']} ${req.headers.host}`));
    const dial = await listen(bunkhouse);
    const strict = frontOf(caddy, dial, null);
    await strict.serve(HOSTS);
    expect(await strict.check(HOSTS[0] ?? '')).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/self.signed/i),
    });
    const trusting = createCaddyFront({
      ...{ admin: caddy.admin, name: 'bunkhouse', httpsPort: caddy.httpsPort, dial: `127.0.0.1:${dial}`, acme: null },
      caFile: join(caddy.folder, 'cert.pem'),
    });
    onTestFinished(() => trusting.close());
    // The operator's certificate for all names: no other is needed.
    expect(await trusting.check(HOSTS[0] ?? '')).toEqual({ ok: true, reason: '' });
    expect(await trusting.check('elsewhere.example.org')).toMatchObject({ ok: false });
    const ca = readFileSync(join(caddy.folder, 'cert.pem'), 'utf8');
    expect(await visit(caddy.httpsPort, HOSTS[1] ?? '', ca)).toMatchObject({
      status: 200,
      body: `https ${HOSTS[1]}:${caddy.httpsPort}`,
    });
    expect(await visit(caddy.httpsPort, `nobody.${BASE}`, ca)).toMatchObject({ status: 404 });
    await caddy.stop();
    expect(await trusting.check(HOSTS[0] ?? '')).toMatchObject({
      ok: false,
      reason: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe.skipIf(!CADDY || !PEBBLE)('certificates from an ACME server', { timeout: 120_000 }, () => {
  let caddy: CaddyServer;
  let acme: AcmeServer;

  beforeAll(async () => {
    caddy = await startCaddy(() => ({ tls: { automation: { policies: [{ issuers: [{ module: 'internal' }] }] } } }));
    acme = await startAcmeServer(caddy.httpsPort);
  });
  afterAll(async () => {
    await caddy?.dispose();
    await acme?.dispose();
  });

  it('are there for every name served, from that authority, and lead to Bunkhouse', async () => {
    const bunkhouse = createServer((req, res) => res.end(`${req.headers['x-forwarded-proto']} ${req.headers.host}`));
    const front = frontOf(caddy, await listen(bunkhouse), acme);
    expect(await front.serve(HOSTS)).toEqual({ ok: true, reason: '' });
    for (const host of HOSTS) {
      await waitFor(
        `a certificate for ${host}`,
        async () => {
          const { ok, reason } = await front.check(host);
          if (!ok) throw new Error(reason);
          return true;
        },
        30_000,
      ).catch((error) => {
        throw new Error(`${error.message}\n${caddy.output()}`);
      });
      expect(await visit(caddy.httpsPort, host, readFileSync(acme.caFile, 'utf8'))).toMatchObject({
        status: 200,
        body: `https ${host}:${caddy.httpsPort}`,
      });
    }
    await expect(visit(caddy.httpsPort, HOSTS[0] ?? '', '')).rejects.toThrow();
    expect(await front.check(`c.${BASE}`)).toMatchObject({
      ok: false,
      reason: `no valid certificate for c.${BASE} yet: the front has none (its log says why, if the authority refused)`,
    });
  });
});
