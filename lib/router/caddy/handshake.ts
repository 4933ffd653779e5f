import { connect, rootCertificates } from 'node:tls';
import type { CheckResult } from '../../probes/probe.ts';

const TIMEOUT_MS = 5_000;

export interface Handshake {
  readonly host: string;
  readonly port: number;
  readonly servername: string;
  /** PEM texts of authorities trusted beside the public ones. */
  readonly authorities: readonly string[];
}

/** Whether a caller of that name is shown a certificate that is valid now, for this name, from a trusted authority. */
export function checkHandshake({ host, port, servername, authorities }: Handshake): Promise<CheckResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, servername, ca: [...rootCertificates, ...authorities], timeout: TIMEOUT_MS });
    const settle = (reason: string): void => {
      resolve({ ok: reason === '', reason: reason && `no valid certificate for ${servername} yet: ${reason}` });
      socket.destroy();
    };
    socket.once('timeout', () => settle(`no handshake within ${TIMEOUT_MS / 1000} s`));
    socket.once('secureConnect', () => settle(socket.authorized ? '' : String(socket.authorizationError)));
    socket.once('error', (error) => settle(plain(error)));
    socket.once('close', () => settle('the connection was closed'));
  });
}

/** OpenSSL's own words for it are long and say less. */
function plain(error: Error): string {
  const code = 'code' in error ? String(error.code) : '';
  if (/ALERT_INTERNAL_ERROR|UNRECOGNIZED_NAME/.test(code))
    return 'the front has none (its log says why, if the authority refused)';
  return error.message;
}
