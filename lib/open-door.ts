import type { Config } from './config/settings.ts';
import type { Addresses } from './domain/hosts.ts';
import { createCaddyFront } from './router/caddy/caddy-front.ts';
import type { Dependencies } from './services/dependencies.ts';
import type { Logger } from './util/logger.ts';

const USUAL_HTTPS_PORT = 443;

/** By a front with TLS where there is one, else by this server itself. */
export function addressesOf({ baseDomain, httpsPort, caddyAdmin, port }: Config): Addresses {
  const secure = httpsPort ?? (caddyAdmin === null ? null : USUAL_HTTPS_PORT);
  return secure === null ? { baseDomain, scheme: 'http', port } : { baseDomain, scheme: 'https', port: secure };
}

/** Caddy, where there is one and bots have host names. */
export function openDoor(config: Config, log: Logger): Dependencies['door'] {
  const { baseDomain, caddyAdmin: admin, acmeDirectory: directory, acmeEmail: email, acmeCaFile: caFile } = config;
  if (baseDomain === null || admin === null) {
    if (admin !== null) log.warn({}, 'CADDY_ADMIN does nothing without BASE_DOMAIN');
    return null;
  }
  const front = createCaddyFront({
    admin,
    caFile,
    name: config.instanceName,
    httpsPort: config.httpsPort ?? USUAL_HTTPS_PORT,
    dial: `${hostToDial(config.host)}:${config.port}`,
    acme: directory === null ? null : { baseDomain, directory, email, caFile },
  });
  return { front, baseDomain };
}

/** An address to connect to, for one to listen on. */
function hostToDial(host: string): string {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return local.includes(':') ? `[${local}]` : local;
}
