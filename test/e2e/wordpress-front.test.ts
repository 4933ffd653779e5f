import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LeaseView, ReserveStatus } from '../../lib/services/lease-api.ts';
import { type AcmeServer, PEBBLE, startAcmeServer } from '../support/acme-server.ts';
import { CADDY, type CaddyServer, startCaddy } from '../support/caddy.ts';
import { visit } from '../support/visit.ts';
import { createSandbox, type Sandbox } from './support.ts';
import { SITE_SETTINGS } from './ten-sites.ts';
import { withWordPress } from './with-wordpress.ts';

const SITES = 10;
const WARM_SECONDS = 180;

withWordPress('ten WordPress sites behind Caddy', () => {
  describe.skipIf(!CADDY || !PEBBLE)('with certificates of a real ACME server', () => {
    let caddy: CaddyServer;
    let acme: AcmeServer;
    let sandbox: Sandbox;

    beforeAll(async () => {
      caddy = await startCaddy();
      acme = await startAcmeServer(caddy.httpsPort);
      sandbox = await createSandbox({
        basePort: 27_300,
        env: {
          ...SITE_SETTINGS,
          BASE_DOMAIN: 'sites.example.org',
          CADDY_ADMIN: caddy.admin,
          HTTPS_PORT: String(caddy.httpsPort),
          ACME_DIRECTORY: acme.directory,
          ACME_CA_FILE: acme.caFile,
        },
      });
      await sandbox.start();
    });

    afterAll(async () => {
      await sandbox?.dispose();
      await caddy?.dispose();
      await acme?.dispose();
    });

    const ready = async (): Promise<boolean> => {
      const { reserves } = await sandbox.client.get<{ reserves: ReserveStatus[] }>('/api/pool/reserve');
      return (reserves.find(({ template }) => template === 'wordpress')?.ready ?? 0) >= SITES;
    };

    it('are handed out to ten at once, each with its page and its style sheets over TLS', async () => {
      await sandbox.until('ten sites are ready, certificates included', ready, WARM_SECONDS);
      const leases = await Promise.all(
        Array.from({ length: SITES }, () => sandbox.client.post<LeaseView>('/api/leases', {})),
      );
      expect(leases.map(({ fromPool }) => fromPool)).toEqual(leases.map(() => true));
      expect(new Set(leases.map(({ url }) => new URL(url).hostname)).size).toBe(SITES);
      const ca = readFileSync(acme.caFile, 'utf8');
      for (const { url } of leases) {
        const { origin, hostname } = new URL(url);
        const front = await visit(caddy.httpsPort, hostname, ca);
        expect([front.status, front.body]).toEqual([200, expect.stringContaining('<title>A WordPress site')]);
        const sheets = [...front.body.matchAll(/href='(https:[^']+\.css[^']*)'/g)].map(([, address = '']) => address);
        expect(sheets).not.toEqual([]);
        for (const sheet of sheets) {
          expect(new URL(sheet).origin).toBe(origin);
          expect((await visit(caddy.httpsPort, hostname, ca, new URL(sheet).pathname)).status).toBe(200);
        }
      }
    });
  });
});
