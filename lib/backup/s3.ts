import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { S3Location } from './location.ts';
import type { Vault, VaultContent, VaultFile } from './vault.ts';

/** What is held in memory of an upload; larger ones go in parts of this size. */
const PART_BYTES = 8 << 20;
const TRIES = 4;
const CONNECT_MS = 10_000;
/** Without a byte. */
const SILENCE_MS = 60_000;

/**
 * Objects of one bucket, below a prefix. An object appears as a whole or not at all. A server that is silent for `silenceMs`
 * counts as away. Throws STORE_UNAVAILABLE.
 */
export async function openS3Vault(location: S3Location, silenceMs = SILENCE_MS): Promise<Vault> {
  const { bucket, prefix, region, endpoint, pathStyle } = location;
  const credentials = await credentialsOf(location);
  const client = new S3Client({
    region,
    forcePathStyle: pathStyle,
    maxAttempts: TRIES,
    // Not `requestTimeout`, past which it only warns.
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: silenceMs },
    ...(endpoint === null ? {} : { endpoint }),
    ...(credentials === null ? {} : { credentials }),
  });
  const place = `s3://${bucket}/${prefix}${endpoint === null ? '' : ` at ${endpoint}`}`;
  const at = (name: string): { Bucket: string; Key: string } => ({ Bucket: bucket, Key: prefix + name });
  const tried = <T>(what: string, work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => Promise.reject(unavailable(`${what} ${place}`, error)));
  return {
    place,
    list: () => tried('list', list(client, bucket, prefix)),
    write: (name, content) => tried(`keep ${name} in`, write(client, at(name), content)),
    read: (name) => read(client, at(name), place),
    remove: (name) =>
      tried(
        `remove ${name} from`,
        client.send(new DeleteObjectCommand(at(name))).then(() => {}),
      ),
    close: () => client.destroy(),
  };
}

// Private

/** Null: as AWS's own tools find them (environment, shared files, instance role). */
async function credentialsOf({
  credentialsFile,
}: S3Location): Promise<{ accessKeyId: string; secretAccessKey: string } | null> {
  if (credentialsFile === null) return null;
  const text = await readFile(credentialsFile, 'utf8').catch((error: unknown) => {
    throw new BunkhouseError('STORE_UNAVAILABLE', `credentialsFile of BACKUP_URL cannot be read: ${messageOf(error)}`);
  });
  const [accessKeyId = '', secretAccessKey = ''] = text.split('\n').map((line) => line.trim());
  if (accessKeyId !== '' && secretAccessKey !== '') return { accessKeyId, secretAccessKey };
  const form = 'the id of the key in its first line and the secret in its second';
  throw new BunkhouseError('STORE_UNAVAILABLE', `${credentialsFile} must hold ${form}`);
}

async function list(client: S3Client, bucket: string, prefix: string): Promise<VaultFile[]> {
  const files: VaultFile[] = [];
  let next: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: prefix,
        Delimiter: '/',
        ...(next && { ContinuationToken: next }),
      }),
    );
    for (const { Key, Size } of page.Contents ?? []) {
      if (Key !== undefined) files.push({ name: Key.slice(prefix.length), bytes: Size ?? 0 });
    }
    next = page.NextContinuationToken;
  } while (next !== undefined);
  return files;
}

/** Chunks that break off abort the upload, so that no object and no parts are left. */
async function write(
  client: S3Client,
  at: { Bucket: string; Key: string },
  { bytes, chunks }: VaultContent,
): Promise<void> {
  const body = Readable.from(counted(chunks, bytes), { objectMode: false });
  const upload = new Upload({
    client,
    params: { ...at, Body: body },
    partSize: PART_BYTES,
    queueSize: 1,
    leavePartsOnError: false,
  });
  await upload.done();
}

async function* counted(chunks: VaultContent['chunks'], bytes: number): AsyncGenerator<Uint8Array> {
  let written = 0;
  for await (const chunk of chunks) {
    written += chunk.length;
    yield chunk;
  }
  if (written !== bytes) throw new Error(`${written} bytes came instead of ${bytes}`);
}

async function* read(client: S3Client, at: { Bucket: string; Key: string }, place: string): AsyncGenerator<Uint8Array> {
  try {
    const { Body } = await client.send(new GetObjectCommand(at));
    if (Body instanceof Readable) yield* Body;
  } catch (error) {
    if (error instanceof NoSuchKey) throw new BunkhouseError('NOT_FOUND', `there is no ${at.Key} in ${place}`);
    throw unavailable(`read ${at.Key} of ${place}`, error);
  }
}

/** The SDK's messages hold no credentials; its objects may, so they are no cause that a log would show. */
function unavailable(what: string, error: unknown): BunkhouseError {
  if (error instanceof BunkhouseError)
    return new BunkhouseError('STORE_UNAVAILABLE', `cannot ${what}: ${error.message}`);
  const code = error instanceof S3ServiceException ? `${error.name}: ` : '';
  return new BunkhouseError('STORE_UNAVAILABLE', `cannot ${what}: ${code}${messageOf(error) || 'no answer'}`);
}
