import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packTar, type TarFile } from '../../lib/drivers/docker/tar.ts';

/** The files of a build context, by path. Readable for every user of the image, whatever the checkout's modes are. */
export function contextFiles(folder: string): TarFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.pyc'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => ({ path: file.slice(folder.length + 1), mode: 0o644, data: readFileSync(file) }));
}

/** What an image is made of, as one hash: the same again need not be built. */
export function inputsHash(files: readonly TarFile[], baseId: string): string {
  return createHash('sha256').update(baseId).update(packTar(files)).digest('hex');
}

/** Where in a build the host's certificates are; the Dockerfiles copy them there. */
const CERTIFICATES = '/build/ca.crt';

/** What a build must know of this machine to fetch packages from here; none of it stays in the image. */
export interface Surroundings {
  /** Build arguments: proxies, package index, certificates. */
  readonly args: Readonly<Record<string, string>>;
  /** The file that the Dockerfiles copy; empty when the host has no certificates of its own. */
  readonly certificates: TarFile;
}

const PASSED_ON = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'PIP_INDEX_URL'];
const CERTIFICATE_FILES = ['PIP_CERT', 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'];

/** Throws when a variable names a file of certificates that cannot be read. */
export function surroundings(env: NodeJS.ProcessEnv): Surroundings {
  const file = CERTIFICATE_FILES.map((name) => env[name]).find((path) => path);
  const data = file === undefined ? Buffer.alloc(0) : readFileSync(file);
  const args = Object.fromEntries(PASSED_ON.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  return {
    args: file === undefined ? args : { ...args, PIP_CERT: CERTIFICATES },
    certificates: { path: 'ca.crt', mode: 0o644, data },
  };
}
