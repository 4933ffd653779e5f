import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LeaseView, ReserveStatus } from '../../lib/services/lease-api.ts';
import { type AcmeServer, PEBBLE, startAcmeServer } from '../support/acme-server.ts';
import { CADDY, type CaddyServer, startCaddy } from '../support/caddy.ts';
import { visit } from '../support/visit.ts';
import { createSandbox, REPOSITORY, type Sandbox } from './support.ts';

/** Sites on lease behind a real Caddy, with certificates of a real ACME server. */

const SERVER = readFileSync(join(REPOSITORY, 'test/fixtures/bots/server.py'), 'utf8');
const SITE = `
name: site
command: [python3, -u, server.py]
env: { PORT: "{{port}}", HOST: "{{host}}" }
files:
  - { path: server.py, text: ${JSON.stringify(SERVER)} }
readiness: { kind: notify, startupSeconds: 10 }
checks: [{ kind: http, path: /, json: { bot_name: "{{id}}" } }]
checkEverySeconds: 1
stop: { graceSeconds: 1 }
proxy: { public: true }
lease:
  reserve: { target: 3, min: 3 }
  reset:
    steps: [{ kind: clear, keep: [] }]
`;

describe.skipIf(!CADDY || !PEBBLE)('sites behind Caddy', () => {
  let caddy: CaddyServer;
  let acme: AcmeServer;
  let sandbox: Sandbox;

  beforeAll(async () => {
    caddy = await startCaddy();
    acme = await startAcmeServer(caddy.httpsPort);
    sandbox = await createSandbox({
      basePort: 26_900,
      templates: { 'site.yaml': SITE },
      env: {
        BASE_DOMAIN: 'sites.example.org',
        CADDY_ADMIN: caddy.admin,
        HTTPS_PORT: String(caddy.httpsPort),
        ACME_DIRECTORY: acme.directory,
        ACME_CA_FILE: acme.caFile,
        DEFAULT_TEMPLATE: 'site',
        POOL_BATCH_SPACING_IN_SECONDS: '0.1',
      },
    });
    await sandbox.start();
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await caddy?.dispose();
    await acme?.dispose();
  });

  const reserve = async () =>
    (await sandbox.client.get<{ reserves: ReserveStatus[] }>('/api/pool/reserve')).reserves[0] as ReserveStatus;
  const ready = () =>
    sandbox
      .until('3 are ready', async () => (await reserve()).ready >= 3, 60)
      .catch(async (error) => {
        throw new Error(`${error.message}\n${JSON.stringify(await reserve())}\n${caddy.output().slice(-3000)}`);
      });
  const fetchSite = (url: string) => {
    const { hostname, port, protocol } = new URL(url);
    expect([protocol, port]).toEqual(['https:', String(caddy.httpsPort)]);
    return visit(caddy.httpsPort, hostname, readFileSync(acme.caFile, 'utf8'), '/page?x=1');
  };

  it('are handed out with a certificate, and anybody may visit', async () => {
    await ready();
    const leases = await Promise.all([1, 2, 3].map(() => sandbox.client.post<LeaseView>('/api/leases', {})));
    expect(leases.every(({ fromPool }) => fromPool)).toBe(true);
    for (const { url, instanceId } of leases) {
      const { status, headers, body } = await fetchSite(url);
      expect(status).toBe(200);
      expect(JSON.parse(body)).toMatchObject({ bot_name: instanceId, path: '/page?x=1' });
      expect(headers).toMatchObject({ 'x-container-id': instanceId, 'x-container-location': 'local' });
    }
    const [first] = leases as [LeaseView];
    await sandbox.client.delete(`/api/leases/${first.id}`);
    expect((await fetchSite(first.url)).status).toBe(401);
  });

  it('have their certificate too when they are made on demand and waited for', async () => {
    await ready();
    const leases = await Promise.all(
      Array.from({ length: 4 }, () => sandbox.client.post<LeaseView>('/api/leases', { waitSeconds: 30 })),
    );
    expect(leases.filter(({ fromPool }) => !fromPool).length).toBeGreaterThan(0);
    for (const { url } of leases) expect((await fetchSite(url)).status).toBe(200);
  });

  it('are not reached as the API, nor the API as one of them', async () => {
    await ready();
    const { url } = await sandbox.client.post<LeaseView>('/api/leases', {});
    const { hostname } = new URL(url);
    const ca = readFileSync(acme.caFile, 'utf8');
    const api = await visit(caddy.httpsPort, hostname, ca, '/api/bots');
    expect(JSON.parse(api.body)).toMatchObject({ path: '/api/bots' });
  });

  it('are served again after Caddy died and forgot all, and after the supervisor was started again', async () => {
    await ready();
    const { url } = await sandbox.client.post<LeaseView>('/api/leases', {});
    expect((await fetchSite(url)).status).toBe(200);
    await caddy.stop('SIGKILL');
    await caddy.start();
    await expect(fetchSite(url)).rejects.toThrow();
    await sandbox.until('it is served again', () =>
      fetchSite(url).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    await sandbox.stop('SIGKILL');
    // Callers are kept waiting while it is away.
    const waiting = fetchSite(url);
    await sandbox.start();
    expect((await waiting).status).toBe(200);
  });

  it('vanish from Caddy when they are deleted', async () => {
    await ready();
    const { id, instanceId } = await sandbox.client.post<LeaseView>('/api/leases', {});
    expect(JSON.stringify(await caddy.config())).toContain(instanceId);
    await sandbox.client.delete(`/api/bots/${instanceId}`);
    await sandbox.until('its name is gone', async () => !JSON.stringify(await caddy.config()).includes(instanceId));
    expect((await sandbox.client.get<LeaseView>(`/api/leases/${id}`)).end?.how).toBe('lost');
  });
});
