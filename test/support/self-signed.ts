import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export interface SelfSigned {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate for two days that nobody vouches for. `altName` as openssl writes it: `DNS:*.example.org`, `IP:127.0.0.1`. */
export function selfSigned(folder: string, subject: string, altName: string): SelfSigned {
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-keyout', files.keyFile, '-out', files.certFile],
      ...['-subj', `/CN=${subject}`, '-addext', `subjectAltName=${altName}`],
    ],
    { stdio: 'pipe' },
  );
  return files;
}
