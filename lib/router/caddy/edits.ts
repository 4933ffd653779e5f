import { isDeepStrictEqual } from 'node:util';
import { BunkhouseError } from '../../domain/errors.ts';

/** Caddy's configuration, as JSON. Most of it is the operator's: it is looked into, never rewritten. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One call to Caddy's API for its configuration. */
export interface Edit {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/config`. */
  readonly path: string;
  readonly value: Json;
}

/** What of the configuration is ours, and nothing else is. */
export interface Wanted {
  /** Prefix of the names of what is ours. */
  readonly name: string;
  /** Host names in order. */
  readonly hosts: readonly string[];
  readonly httpsPort: number;
  /** Of Bunkhouse, as `host:port`. */
  readonly dial: string;
  /** Null: certificates are got as the operator's configuration says, by default from Let's Encrypt. */
  readonly acme: AcmeSettings | null;
}

export interface AcmeSettings {
  readonly baseDomain: string;
  readonly directory: string;
  readonly email: string | null;
  /** PEM file of authorities trusted beside the public ones. */
  readonly caFile: string | null;
}

/** While Bunkhouse is restarted, callers are kept waiting so long at most instead of being turned away. */
const RESTART_PATIENCE = '15s';

/** The next edit on the way from the configuration as it is to the one with what is wanted; null: it has it. Throws CONFLICT. */
export function nextEdit(config: Json, wanted: Wanted): Edit | null {
  return policyEdit(config, wanted) ?? serverEdit(config, wanted);
}

// Private

/** Before the server, for its names ask for certificates as soon as they are there. */
function policyEdit(config: Json, { name, acme }: Wanted): Edit | null {
  const path = ['apps', 'tls', 'automation', 'policies'];
  const found = at(config, path);
  const policies = Array.isArray(found) ? (found as readonly Json[]) : [];
  const id = `${name}-tls`;
  const index = policies.findIndex((policy) => isObject(policy) && policy['@id'] === id);
  if (acme === null)
    return index < 0 ? null : { method: 'DELETE', path: pathOf([...path, String(index)]), value: null };
  const policy = tlsPolicy(id, acme);
  if (found === undefined || found === null) return put(config, path, [policy]);
  // The first that fits is taken, and the operator may have one for all names.
  if (index < 0) return { method: 'PUT', path: pathOf([...path, '0']), value: policy };
  return isDeepStrictEqual(policies[index], policy)
    ? null
    : { method: 'PATCH', path: pathOf([...path, String(index)]), value: policy };
}

function serverEdit(config: Json, wanted: Wanted): Edit | null {
  const path = ['apps', 'http', 'servers', wanted.name];
  const found = at(config, path);
  const isTheirs = isObject(found) && found['@id'] !== `${wanted.name}-server`;
  if (wanted.hosts.length === 0)
    return found === undefined || isTheirs ? null : { method: 'DELETE', path: pathOf(path), value: null };
  if (isTheirs) throw notOurs(wanted.name);
  const server = serverFor(wanted);
  if (found === undefined) return put(config, path, server);
  return isDeepStrictEqual(found, server) ? null : { method: 'PATCH', path: pathOf(path), value: server };
}

function notOurs(name: string): BunkhouseError {
  const next = 'Call it otherwise, or set another INSTANCE_NAME.';
  return new BunkhouseError('CONFLICT', `Caddy has a server ${name} already that is not of this installation. ${next}`);
}

function serverFor({ name, hosts, httpsPort, dial }: Wanted): Json {
  const toBunkhouse = {
    handler: 'reverse_proxy',
    upstreams: [{ dial }],
    load_balancing: { try_duration: RESTART_PATIENCE, try_interval: '100ms' },
  };
  return {
    '@id': `${name}-server`,
    listen: [`:${httpsPort}`],
    routes: [
      { match: [{ host: hosts }], handle: [toBunkhouse], terminal: true },
      { handle: [{ handler: 'static_response', status_code: 404 }] },
    ],
  };
}

function tlsPolicy(id: string, { baseDomain, directory, email, caFile }: AcmeSettings): Json {
  const issuer = {
    module: 'acme',
    ca: directory,
    ...(email === null ? {} : { email }),
    ...(caFile === null ? {} : { trusted_roots_pem_files: [caFile] }),
  };
  return { '@id': id, subjects: [`*.${baseDomain}`], issuers: [issuer] };
}

/** Puts a value where nothing is, with whatever lacks above it. */
function put(config: Json, path: readonly string[], value: Json): Edit {
  if (!isObject(config)) return { method: 'POST', path: '/', value: nest(path, value) };
  let depth = 1;
  while (depth < path.length && isObject(at(config, path.slice(0, depth)))) depth++;
  // A null in the way is there and nothing: it is replaced.
  const method = at(config, path.slice(0, depth)) === undefined ? 'PUT' : 'POST';
  return { method, path: pathOf(path.slice(0, depth)), value: nest(path.slice(depth), value) };
}

const nest = (path: readonly string[], value: Json): Json =>
  path.reduceRight<Json>((inner, key) => ({ [key]: inner }), value);

function at(config: Json, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((value, key) => (isObject(value) ? value[key] : undefined), config);
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const pathOf = (path: readonly string[]): string => `/${path.map(encodeURIComponent).join('/')}`;
