import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Clock, isoTime } from '../util/clock.ts';
import { type Disk, systemDisk } from '../util/disk.ts';
import { writeDurably } from '../util/durable-write.ts';

const KEPT = 24;
const EVERY_MS = 60 * 60 * 1000;

/**
 * Copies of a state file that was proven good, beside it as `NAME.good-<ISO time>`: at each opening and one an hour while
 * it changes, the newest 24. Equal content makes no copy, so a supervisor that starts over and over pushes none out.
 */
export class GoodCopies {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #disk: Disk;
  #last = 0;

  constructor(path: string, clock: Clock, disk: Disk = systemDisk) {
    this.#path = path;
    this.#clock = clock;
    this.#disk = disk;
  }

  /** Paths of the copies, newest first. */
  async list(): Promise<string[]> {
    const folder = dirname(this.#path);
    const names = (await readdir(folder)).filter((name) => /\.good-[\dTZ:.-]+$/.test(name));
    const ours = names.filter((name) => name.startsWith(`${basename(this.#path)}.good-`));
    return ours.sort((a, b) => (a < b ? 1 : -1)).map((name) => join(folder, name));
  }

  /** Whether the last copy, or the last try to make one, is an hour old. */
  get due(): boolean {
    return this.#clock.now() - this.#last >= EVERY_MS;
  }

  /** Copies the file as it is now. */
  async keep(): Promise<void> {
    this.postpone();
    const content = await readFile(this.#path);
    const copies = await this.list();
    if (copies[0] !== undefined && content.equals(await readFile(copies[0]))) return;
    await writeDurably(this.#newName(copies), content, this.#disk);
    const surplus = (await this.list()).slice(KEPT);
    await Promise.all(surplus.map((path) => rm(path, { force: true })));
  }

  /** The next one is due in an hour. */
  postpone(): void {
    this.#last = this.#clock.now();
  }

  // Private

  #newName(copies: readonly string[]): string {
    let time = this.#last;
    const name = (): string => `${this.#path}.good-${isoTime(time)}`;
    while (copies.includes(name())) time += 1;
    return name();
  }
}
