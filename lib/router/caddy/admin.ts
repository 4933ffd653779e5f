import { Pool } from 'undici';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import type { Edit, Json } from './edits.ts';

/** The configuration and what it was read as: an edit is made only while it is still that. */
export interface Reading {
  readonly config: Json;
  readonly version: string | null;
}

export interface CaddyAdmin {
  /** Throws BunkhouseError with what is in the way. */
  read(): Promise<Reading>;
  /** False: somebody else changed the configuration meanwhile. Throws what Caddy has against it. */
  edit(edit: Edit, version: string | null): Promise<boolean>;
  /** Makes Caddy load its configuration anew, as it is. Throws what Caddy has against it. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const SILENCE_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const CHANGED = 412;

/** Caddy's API for its configuration, at `http://host:port` or `unix:///path`. */
export function createCaddyAdmin(address: string): CaddyAdmin {
  const socketPath = address.startsWith('unix://') ? address.slice('unix://'.length) : null;
  const timeouts = { headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS, maxResponseSize: MAX_ANSWER_BYTES };
  const pool = new Pool(socketPath === null ? address : 'http://localhost', {
    ...timeouts,
    connections: 1,
    ...(socketPath === null ? {} : { connect: { socketPath } }),
  });
  // Caddy asks for an empty host name where there is none, to keep web pages out.
  const headers = { 'content-type': 'application/json', ...(socketPath === null ? {} : { host: '' }) };

  async function call(
    method: 'GET' | Edit['method'],
    path: string,
    body: string | null,
    extra: Readonly<Record<string, string>> = {},
  ) {
    try {
      const response = await pool.request({ method, path: `/config${path}`, headers: { ...headers, ...extra }, body });
      const text = await response.body.text();
      return { status: response.statusCode, text, trailers: response.trailers };
    } catch (cause) {
      throw new BunkhouseError('DRIVER_UNAVAILABLE', `Caddy does not answer at ${address}: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  return {
    async read() {
      const { status, text, trailers } = await call('GET', '/', null);
      if (status !== 200) throw refusal(status, text);
      return { config: JSON.parse(text) as Json, version: trailers.etag ?? null };
    },
    async edit({ method, path, value }, version) {
      const condition = version === null ? {} : { 'if-match': version };
      const { status, text } = await call(method, path, method === 'DELETE' ? null : JSON.stringify(value), condition);
      if (status === CHANGED) return false;
      if (status !== 200) throw refusal(status, text);
      return true;
    },
    async reload() {
      const { text: config, trailers } = await call('GET', '/', null);
      const condition: Record<string, string> =
        trailers.etag === undefined ? {} : { 'if-match': String(trailers.etag) };
      // Without this header Caddy passes over a configuration that is what it has.
      const { status, text } = await call('POST', '/', config, { ...condition, 'cache-control': 'must-revalidate' });
      // Somebody else changed it just now, with the same effect.
      if (status !== 200 && status !== CHANGED) throw refusal(status, text);
    },
    close: () => pool.destroy(),
  };
}

function refusal(status: number, text: string): BunkhouseError {
  const said = /"error":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
  return new BunkhouseError('INVALID', `Caddy refuses (${status}): ${said.trim().slice(0, 500)}`);
}
