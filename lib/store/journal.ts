import type { Disk, DiskFile } from '../util/disk.ts';
import { writeDurably } from '../util/durable-write.ts';
import { commitLine, headerLine, type JournalHeader, type Position } from './journal-line.ts';
import { journalPath } from './journal-names.ts';
import type { Patch } from './patch.ts';

/** The file that commits are appended to. */
export class Journal {
  readonly path: string;
  readonly #file: DiskFile;
  #position: Position;
  #length: number;
  #littered = false;

  /** Makes the journal that goes on from a position, durably; a header alone that was left there makes room for it. */
  static async create(path: string, header: JournalHeader, disk: Disk): Promise<Journal> {
    const journal = journalPath(path, header.sequence);
    const length = await writeDurably(journal, headerLine(header), disk);
    return new Journal(journal, await disk.open(journal), header, length);
  }

  private constructor(path: string, file: DiskFile, { sequence, hash }: Position, length: number) {
    this.path = path;
    this.#file = file;
    this.#position = { sequence, hash };
    this.#length = length;
  }

  get position(): Position {
    return this.#position;
  }

  get length(): number {
    return this.#length;
  }

  /** Whether a commit that failed may still be found in the file. */
  get littered(): boolean {
    return this.#littered;
  }

  /** Whether it can still be found where it was made. */
  inPlace(): Promise<boolean> {
    return this.#file.inPlace();
  }

  /**
   * Durable when it resolves. Throws the system's error; then the commit is taken back from the file, and where even that
   * fails the next one is not written before it works.
   */
  async append(patch: Patch): Promise<void> {
    if (this.#littered) await this.#clear();
    const { line, position } = commitLine(this.#position, patch);
    const bytes = Buffer.from(line);
    this.#littered = true;
    try {
      await this.#file.write(bytes, this.#length);
      await this.#file.sync();
      if (!(await this.#file.inPlace())) throw new Error(`${this.path} is not there any more`);
    } catch (error) {
      await this.#clear().catch(() => {});
      throw error;
    }
    this.#littered = false;
    this.#length += bytes.length;
    this.#position = position;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  // Private

  /** What failed was answered as failed: it must not be found by the next opener. */
  async #clear(): Promise<void> {
    await this.#file.truncate(this.#length);
    await this.#file.sync();
    this.#littered = false;
  }
}
