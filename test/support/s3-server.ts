import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Location } from '../../lib/backup/location.ts';
import { freePorts } from './ports.ts';
import { waitFor } from './wait-for.ts';

const OURS = resolve(import.meta.dirname, '../../.bunkhouse/bin/versitygw');

/** A real server that speaks like S3 and checks signatures (scripts/test installs it); null: none. */
export const S3_SERVER = [process.env.BUNKHOUSE_TEST_S3 ?? '', OURS, 'versitygw'].find(isInstalled) ?? null;

export interface S3Server {
  readonly url: string;
  readonly secret: string;
  /** Of a new, empty bucket. */
  bucket(): Promise<S3Location>;
  /** Ends it as a crash would; `start` brings it back on the same port and folder. */
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

export async function startS3(): Promise<S3Server> {
  const port = await freePorts(24_000, 25_000, 1);
  const folder = mkdtempSync(join(tmpdir(), 'bunkhouse-s3-'));
  const [access, secret] = ['test-key', 'very-secret-test-key'];
  const url = `http://127.0.0.1:${port}`;
  const credentialsFile = join(folder, 'credentials');
  const store = join(folder, 'store');
  mkdirSync(store);
  writeFileSync(credentialsFile, `${access}\n${secret}\n`, { mode: 0o600 });
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: url,
    forcePathStyle: true,
    credentials: { accessKeyId: access, secretAccessKey: secret },
  });
  let child: ChildProcess | null = null;
  let buckets = 0;

  const server: S3Server = {
    url,
    secret,

    async bucket() {
      const bucket = `bots-${++buckets}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      return {
        kind: 's3',
        bucket,
        prefix: 'some/where/',
        region: 'us-east-1',
        endpoint: url,
        pathStyle: true,
        credentialsFile,
      };
    },

    async start() {
      const who = ['--port', `127.0.0.1:${port}`, '--access', access, '--secret', secret, '--quiet'];
      child = spawn(S3_SERVER as string, [...who, 'posix', store], { stdio: 'ignore' });
      await waitFor('the server answers', () => fetch(url).then(() => true), 15_000);
    },

    async stop() {
      if (child === null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      child = null;
      await ended;
    },

    async dispose() {
      client.destroy();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return program !== '';
  } catch {
    return false;
  }
}
