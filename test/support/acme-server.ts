import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { Child, isInstalled } from './child.ts';
import { freePorts } from './ports.ts';
import { selfSigned } from './self-signed.ts';
import { makeTempDir, removeDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

/** Debian's pebble, a real ACME server for tests, with its name server that says 127.0.0.1 to all names. */
export const PEBBLE = isInstalled('pebble') && isInstalled('pebble-challtestsrv') && isInstalled('openssl');

export interface AcmeServer {
  readonly directory: string;
  /** PEM: who signed the server's own certificate, and the root of those it gives. */
  readonly caFile: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

/** Validates for real, by TLS-ALPN at `tlsPort` of loopback. */
export async function startAcmeServer(tlsPort: number): Promise<AcmeServer> {
  const folder = await makeTempDir();
  const [acme, management, dns, dnsManagement, nowhere] = await portsInARow(5);
  const caFile = join(folder, 'authorities.pem');
  const { certFile, keyFile } = selfSigned(folder, '127.0.0.1', 'IP:127.0.0.1');
  appendFileSync(caFile, readFileSync(certFile));
  const config = {
    listenAddress: `127.0.0.1:${acme}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: certFile,
    privateKey: keyFile,
    httpPort: nowhere,
    tlsPort,
  };
  writeFileSync(join(folder, 'pebble.json'), JSON.stringify({ pebble: config }));
  const names = new Child('pebble-challtestsrv', [
    ...['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`, '-defaultIPv6', ''],
    ...['-http01', '', '-https01', '', '-tlsalpn01', ''],
  ]);
  const pebble = new Child('pebble', ['-config', join(folder, 'pebble.json'), '-dnsserver', `127.0.0.1:${dns}`], {
    env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' },
  });
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const server: AcmeServer = {
    directory: `https://127.0.0.1:${acme}/dir`,
    caFile,
    stop: () => pebble.stop(),
    async start() {
      pebble.start();
      await waitFor('the ACME server answers', async () => {
        const { statusCode, body } = await request(server.directory, { dispatcher });
        await body.dump();
        return statusCode === 200;
      }).catch((error) => {
        throw new Error(`${error.message}\n${pebble.output}`);
      });
    },
    async dispose() {
      await pebble.stop();
      await names.stop();
      await dispatcher.destroy();
      await removeDir(folder);
    },
  };
  try {
    names.start();
    await server.start();
    const root = await request(`https://127.0.0.1:${management}/roots/0`, { dispatcher });
    appendFileSync(caFile, await root.body.text());
    return server;
  } catch (error) {
    await server.dispose();
    throw error;
  }
}

// Private

async function portsInARow(count: number): Promise<number[]> {
  const first = await freePorts(24_000, 26_000, count);
  return Array.from({ length: count }, (_, index) => first + index);
}
