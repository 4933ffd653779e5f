import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import tar from 'tar-stream';

/** One entry of a tar archive. `content` must be read to its end, or the next entry never comes. */
export interface TreeEntry {
  readonly header: tar.Header;
  readonly content: AsyncIterable<Uint8Array>;
}

/** Entries of a tar archive, one after the other. Throws what the chunks throw, and what is no archive. */
export async function* readTar(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TreeEntry> {
  const extract = tar.extract();
  const source = Readable.from(chunks, { objectMode: false });
  source.on('error', (error) => extract.destroy(error));
  source.pipe(extract as unknown as NodeJS.WritableStream);
  try {
    for await (const entry of extract) {
      // Some engines put the kind of file into the mode too.
      const header = { ...entry.header, mode: entry.header.mode & 0o7777 };
      yield { header, content: entry as AsyncIterable<unknown> as AsyncIterable<Uint8Array> };
      entry.resume();
    }
  } finally {
    source.destroy();
  }
}

/** The same of a packed one (tar.gz). */
export async function* readPacked(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TreeEntry> {
  const source = Readable.from(chunks, { objectMode: false });
  const unzip = createGunzip();
  source.on('error', (error) => unzip.destroy(error));
  try {
    yield* readTar(source.pipe(unzip));
  } finally {
    source.destroy();
    unzip.destroy();
  }
}

/** A tar archive that is being made: entries go in one after the other, its bytes come out meanwhile. */
export class TreeWriter {
  readonly #pack = tar.pack();

  get chunks(): AsyncIterable<Uint8Array> {
    return this.#pack as AsyncIterable<unknown> as AsyncIterable<Uint8Array>;
  }

  /** Content must be as long as the header says. Throws what it throws; the whole is then broken off. */
  async add(
    header: Partial<tar.Header> & { name: string },
    content: AsyncIterable<Uint8Array> = NOTHING,
  ): Promise<void> {
    const done = Promise.withResolvers<void>();
    done.promise.catch(() => {});
    const sink = this.#pack.entry(header, (error) => (error ? done.reject(error) : done.resolve()));
    sink.on('error', () => {});
    try {
      for await (const chunk of content) {
        if (sink.write(chunk)) continue;
        await new Promise<void>((resolve) => {
          sink.once('drain', resolve);
          sink.once('close', resolve);
        });
      }
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    sink.end(undefined);
    await done.promise;
  }

  end(): void {
    this.#pack.finalize();
  }

  fail(error: Error): void {
    this.#pack.destroy(error);
  }
}

const NOTHING: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
};

/** A tar archive from what `fill` puts into it. */
export async function* tarOf(fill: (writer: TreeWriter) => Promise<void>): AsyncGenerator<Uint8Array> {
  const writer = new TreeWriter();
  const filled = fill(writer).then(
    () => writer.end(),
    (error: unknown) => writer.fail(error instanceof Error ? error : new Error(String(error))),
  );
  yield* writer.chunks;
  await filled;
}

export interface PackedFile {
  readonly bytes: number;
  readonly sha256: string;
}

/** Packs what `fill` puts in into a new file (tar.gz, mode 0600). */
export async function packInto(file: string, fill: (writer: TreeWriter) => Promise<void>): Promise<PackedFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  const count = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  };
  const source = Readable.from(tarOf(fill), { objectMode: false });
  await pipeline(source, createGzip({ level: 6 }), count, createWriteStream(file, { mode: 0o600 }));
  return { bytes, sha256: hash.digest('hex') };
}

/** A path as archives have it, without `./` before and `/` behind it; null for one that leads out. */
export function innerPath(name: string): string | null {
  const path = posix.normalize(name).replace(/\/$/, '');
  if (path === '..' || path.startsWith('../') || path.startsWith('/') || path.includes('\0')) return null;
  return path === '.' ? '' : path;
}

export const fileChunks = (path: string): AsyncIterable<Uint8Array> =>
  createReadStream(path, { highWaterMark: 1 << 18 });
