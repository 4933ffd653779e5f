import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Clock, isoTime } from '../util/clock.ts';
import { writeDurably } from '../util/durable-write.ts';

const KEPT = 24;
const EVERY_MS = 60 * 60 * 1000;

/**
 * Copies of a state file that was proven good, beside it as `NAME.good-<ISO time>`: one at each opening and one an hour
 * while it changes, the newest 24. Equal content makes no copy, so a supervisor that starts over and over pushes none out.
 */
export class GoodCopies {
  readonly #path: string;
  readonly #clock: Clock;
  #last = 0;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Paths of the copies, newest first. */
  async list(): Promise<string[]> {
    const folder = dirname(this.#path);
    const names = (await readdir(folder)).filter((name) => /\.good-[\dTZ:.-]+$/.test(name));
    const ours = names.filter((name) => name.startsWith(`${basename(this.#path)}.good-`));
    return ours.sort((a, b) => (a < b ? 1 : -1)).map((name) => join(folder, name));
  }

  async keep(content: string): Promise<void> {
    this.#last = this.#clock.now();
    const [newest] = await this.list();
    if (newest !== undefined && (await readFile(newest, 'utf8')) === content) return;
    await writeDurably(`${this.#path}.good-${isoTime(this.#last)}`, content);
    const surplus = (await this.list()).slice(KEPT);
    await Promise.all(surplus.map((path) => rm(path, { force: true })));
  }

  async keepHourly(content: string): Promise<void> {
    if (this.#clock.now() - this.#last >= EVERY_MS) await this.keep(content);
  }
}
