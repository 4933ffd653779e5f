import { execFile } from 'node:child_process';
import { access, constants, readFile, realpath, stat, statfs } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../../config/settings.ts';
import { messageOf } from '../../domain/errors.ts';

/** What the checks ask of a machine; the real one below, another in tests. No method throws. */
export interface Machine {
  readonly config: Config;
  readonly root: boolean;
  /** Without the `v`. */
  readonly nodeVersion: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Null when it cannot be read. */
  readText(path: string): Promise<string | null>;
  /** Null when there is nothing. */
  stat(path: string): Promise<{ readonly mode: number; readonly uid: number; readonly folder: boolean } | null>;
  /** The file behind links; null when there is nothing. */
  realPath(path: string): Promise<string | null>;
  canWrite(path: string): Promise<boolean>;
  /** Bytes free for us on the disk of this path, or of its nearest parent that is there. */
  freeBytes(path: string): Promise<number | null>;
  /** First line of its output; null when it is not there or failed. */
  run(file: string, args: readonly string[]): Promise<string | null>;
  /** Whether nobody listens there now. */
  portFree(host: string, port: number): Promise<boolean>;
  /** The JSON an HTTP server answers, or why it does not. `socket`: a Unix socket to ask through. */
  getJson(
    url: string,
    socket?: string,
  ): Promise<{ readonly json: Readonly<Record<string, unknown>> } | { readonly error: string }>;
  /** What a server says to this text until it ends the connection, or why it says nothing. */
  exchange(
    server: { readonly host: string; readonly port: number; readonly tls: boolean },
    text: string,
  ): Promise<{ readonly text: string } | { readonly error: string }>;
}

const TIMEOUT_MS = 5000;

export function createMachine(config: Config, now: number): Machine {
  return {
    config,
    root: process.getuid?.() === 0,
    nodeVersion: process.versions.node,
    now,
    readText: (path) => readFile(path, 'utf8').catch(() => null),
    stat: (path) =>
      stat(path).then(
        (found) => ({ mode: found.mode, uid: found.uid, folder: found.isDirectory() }),
        () => null,
      ),
    realPath: (path) => realpath(path).catch(() => null),
    canWrite: (path) =>
      access(path, constants.W_OK).then(
        () => true,
        () => false,
      ),
    freeBytes,
    run,
    portFree,
    getJson,
    exchange,
  };
}

async function freeBytes(path: string): Promise<number | null> {
  const found = await statfs(path).catch(() => null);
  if (found !== null) return found.bavail * found.bsize;
  return dirname(path) === path ? null : freeBytes(dirname(path));
}

function run(file: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(file, args, { timeout: TIMEOUT_MS }, (error, stdout) => {
      resolve(error === null ? (stdout.split('\n')[0] ?? '').trim() : null);
    });
  });
}

function portFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function getJson(url: string, socketPath?: string): ReturnType<Machine['getJson']> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const fail = (error: unknown): void => resolve({ error: messageOf(error) });
    // Behind a socket there is no host to name, and Caddy refuses any.
    const options =
      socketPath === undefined ? { signal } : { signal, socketPath, setHost: false, headers: { host: '' } };
    const asked = request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', fail);
      response.once('end', () => {
        try {
          resolve({ json: JSON.parse(text) as Record<string, unknown> });
        } catch {
          resolve({ error: 'its answer is not JSON' });
        }
      });
    });
    asked.once('error', fail);
    asked.end();
  });
}

function exchange(
  { host, port, tls }: { readonly host: string; readonly port: number; readonly tls: boolean },
  text: string,
): ReturnType<Machine['exchange']> {
  return new Promise((resolve) => {
    let heard = '';
    const place = { host, port, timeout: TIMEOUT_MS };
    const socket = tls ? connectTls({ ...place, servername: host }) : connect(place);
    const fail = (error: unknown): void => resolve({ error: messageOf(error) });
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      heard += chunk;
    });
    socket.once('timeout', () => socket.destroy(new Error('it does not answer')));
    socket.once('error', fail);
    socket.once('end', () => resolve({ text: heard }));
    socket.once('close', () => fail(new Error('it ended the connection')));
    socket.write(text);
  });
}
