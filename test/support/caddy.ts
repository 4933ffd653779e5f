import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCaddyAdmin } from '../../lib/router/caddy/admin.ts';
import type { Json } from '../../lib/router/caddy/edits.ts';
import { Child, isInstalled } from './child.ts';
import { freePorts } from './ports.ts';
import { makeTempDir, removeDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

export const CADDY = isInstalled('caddy');

export interface CaddyServer {
  /** For CADDY_ADMIN. */
  readonly admin: string;
  readonly httpsPort: number;
  readonly folder: string;
  config(): Promise<Json>;
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** With nothing but the operator's configuration: what came by its API is forgotten. */
  start(): Promise<void>;
  dispose(): Promise<void>;
}

/** Where no other policy fits, Caddy signs certificates itself: a test asks no authority on the internet. */
const TLS = { automation: { policies: [{ issuers: [{ module: 'internal' }] }] } };

/** Debian's Caddy on free ports of loopback. `apps`: the operator's own, beside its ports. */
export async function startCaddy(
  apps: (folder: string) => Record<string, Json> = () => ({}),
  socket = false,
): Promise<CaddyServer> {
  const folder = await makeTempDir();
  const adminPort = await freePorts(26_000, 28_000, 3);
  const [httpsPort, httpPort] = [adminPort + 1, adminPort + 2];
  const listen = socket ? `unix/${join(folder, 'admin.sock')}` : `127.0.0.1:${adminPort}`;
  const admin = socket ? `unix://${join(folder, 'admin.sock')}` : `http://127.0.0.1:${adminPort}`;
  const { http, ...others } = apps(folder) as { http?: object };
  const config = {
    admin: { listen, config: { persist: false } },
    apps: { http: { http_port: httpPort, https_port: httpsPort, ...http }, tls: TLS, ...others },
  };
  writeFileSync(join(folder, 'caddy.json'), JSON.stringify(config));
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = new Child('caddy', ['run', '--config', join(folder, 'caddy.json')], { env });
  const api = createCaddyAdmin(admin);
  const server: CaddyServer = {
    admin,
    httpsPort,
    folder,
    config: async () => (await api.read()).config,
    output: () => child.output,
    stop: (signal) => child.stop(signal),
    async start() {
      child.start();
      await waitFor('Caddy answers', () => server.config()).catch((error) => {
        throw new Error(`${error.message}\n${child.output}`);
      });
    },
    async dispose() {
      await child.stop();
      await api.close();
      await removeDir(folder);
    },
  };
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.dispose();
    throw error;
  }
}
