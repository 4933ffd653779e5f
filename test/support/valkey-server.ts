import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ValkeyLocation } from '../../lib/store/valkey/location.ts';
import { freePorts } from './ports.ts';
import { waitFor } from './wait-for.ts';

/** The server's program, whichever of the two is installed; null: none. */
export const VALKEY = ['valkey-server', 'redis-server'].find(isInstalled) ?? null;

/** A real server on loopback that syncs every write, with a folder of its own. */
export interface ValkeyServer {
  readonly port: number;
  location(changes?: Partial<ValkeyLocation>): ValkeyLocation;
  /** Ends it as given and waits. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again, on the same port and folder. */
  start(): Promise<void>;
  /** Stops or continues it without ending it. */
  signal(signal: NodeJS.Signals): void;
  dispose(): Promise<void>;
}

export async function startValkey(...options: readonly string[]): Promise<ValkeyServer> {
  const port = await freePorts(21_000, 24_000, 1);
  const folder = mkdtempSync(join(tmpdir(), 'bunkhouse-valkey-'));
  let child: ChildProcess | null = null;

  const server: ValkeyServer = {
    port,
    location: (changes = {}) => ({
      host: '127.0.0.1',
      port,
      tls: false,
      db: 0,
      prefix: 'bunkhouse',
      username: null,
      password: null,
      passwordFile: null,
      leaseMs: 1000,
      ...changes,
    }),

    async start() {
      const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
      const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
      child = spawn(VALKEY as string, [...where, ...durable, ...options], { stdio: 'ignore' });
      await waitFor('the server answers', () => answers(port));
    },

    async stop(signal) {
      if (child === null) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      child = null;
      await ended;
    },

    signal: (signal) => child?.kill(signal),

    async dispose() {
      await server.stop('SIGKILL');
      rmSync(folder, { recursive: true });
    },
  };
  await server.start();
  return server;
}

// Private

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(500, () => socket.destroy());
    // A password may be asked for; that is an answer too. While it loads, it says so.
    socket.once('data', (data) => {
      resolve(!data.toString().startsWith('-LOADING'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
