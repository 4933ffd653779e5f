import { createServer } from 'node:net';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { mapLimited } from '../util/limit.ts';

/** Every address of IPv4 and of IPv6: a bind there fails when any single address of that family is taken. */
const FAMILIES = [{ host: '0.0.0.0' }, { host: '::', ipv6Only: true }] as const;
/** This machine lacks the address family: nobody else can have bound it either. */
const NO_SUCH_FAMILY = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT'];

/** Ports of basePort … basePort+count-1 that a process has bound on any address, found by trying to bind them. */
export async function boundPorts(basePort: number, count: number): Promise<readonly number[]> {
  const ports = Array.from({ length: count }, (_, index) => basePort + index);
  const bound = await mapLimited(ports, 8, isBound);
  return ports.filter((_, index) => bound[index]);
}

async function isBound(port: number): Promise<boolean> {
  for (const address of FAMILIES) {
    const code = await tryBind({ ...address, port, exclusive: true });
    if (code === 'EADDRINUSE') return true;
    if (code !== null && !NO_SUCH_FAMILY.includes(code)) {
      throw new BunkhouseError(
        'INVALID',
        `port ${port} cannot be bound (${code}): choose a range between 1024 and 65535`,
      );
    }
  }
  return false;
}

/** Null when the bind succeeded, else the code of the error. */
function tryBind(options: {
  host: string;
  port: number;
  exclusive: boolean;
  ipv6Only?: boolean;
}): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? messageOf(error)));
    try {
      server.listen(options, () => server.close(() => resolve(null)));
    } catch (error) {
      resolve(messageOf(error));
    }
  });
}
