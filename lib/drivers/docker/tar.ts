/** The little of the tar format (ustar) that the engine's archive and build calls need: plain files, owned by root. */
export interface TarFile {
  /** At most 100 bytes, forward slashes. */
  readonly path: string;
  readonly mode: number;
  readonly data: Uint8Array;
}

const BLOCK = 512;
const DIRECTORY = '5';

/** An archive of these files. Always the same bytes for the same files. */
export function packTar(files: readonly TarFile[]): Buffer {
  const parts = files.flatMap((file) => [header(file), file.data, Buffer.alloc(padding(file.data.length))]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** The files of an archive with nothing but plain files and directories. Throws RangeError for anything else. */
export function unpackTar(archive: Buffer): TarFile[] {
  const files: TarFile[] = [];
  for (let at = 0; archive.length >= at + BLOCK && archive[at] !== 0; ) {
    const block = archive.subarray(at, at + BLOCK);
    const size = Number.parseInt(block.toString('latin1', 124, 136), 8);
    const end = at + BLOCK + size;
    const kind = block.toString('latin1', 156, 157);
    if (!['0', DIRECTORY].includes(kind) || !(size >= 0) || archive.length < end) {
      throw new RangeError(`no plain file at byte ${at} of the archive`);
    }
    const path = block.toString('utf8', 0, 100).replace(/\0.*$/s, '');
    const mode = Number.parseInt(block.toString('latin1', 100, 108), 8);
    if (kind !== DIRECTORY) files.push({ path, mode, data: archive.subarray(at + BLOCK, end) });
    at = end + padding(size);
  }
  return files;
}

/** Content of the first file in an archive; null when it begins with none. */
export function firstFile(archive: Buffer): Buffer | null {
  if (archive.length < BLOCK) return null;
  const size = Number.parseInt(archive.toString('latin1', 124, 136), 8);
  const kind = archive.toString('latin1', 156, 157);
  if ((kind !== '0' && kind !== '\0') || !Number.isInteger(size) || archive.length < BLOCK + size) return null;
  return archive.subarray(BLOCK, BLOCK + size);
}

function header(file: TarFile): Buffer {
  if (Buffer.byteLength(file.path) > 100) throw new RangeError(`path too long for tar: ${file.path}`);
  const block = Buffer.alloc(BLOCK);
  block.write(file.path, 0);
  block.write(octal(file.mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(file.data.length, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148);
  block.write('0', 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

const octal = (value: number, width: number): string => value.toString(8).padStart(width - 1, '0');
const padding = (length: number): number => (BLOCK - (length % BLOCK)) % BLOCK;
