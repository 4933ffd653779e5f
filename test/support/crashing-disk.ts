import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { type Disk, type DiskFile, systemDisk } from '../../lib/util/disk.ts';

/** How the end looks: which operation it comes at, and what of the things not synced is lost with it. */
export interface Crash {
  /** The power goes in the middle of this one, counted from 1. */
  readonly at: number;
  /** Of what was written and not synced, and of names changed and not synced, this share survives, 0 to 1. */
  readonly kept: number;
}

/**
 * The real disk, until the power goes: the operation under way is done in part, what was not synced is taken back, and
 * everything that is asked for afterwards fails and changes nothing.
 */
export class CrashingDisk implements Disk {
  readonly #crash: Crash;
  /** Undoes the changes of names since the folder was synced; the latest last. */
  readonly #renamings: (() => void)[] = [];
  readonly #unsynced = new Map<string, number>();
  readonly #underWay = new Set<Promise<unknown>>();
  #count = 0;
  #dead = false;

  constructor(crash: Crash) {
    this.#crash = crash;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  async create(path: string): Promise<DiskFile> {
    await this.#step(async () => {});
    const file = await systemDisk.create(path);
    this.#renamings.push(() => rmSync(path, { force: true }));
    return this.#fileOf(path, file, 0);
  }

  async open(path: string): Promise<DiskFile> {
    await this.#step(async () => {});
    return this.#fileOf(path, await systemDisk.open(path), contentOf(path)?.length ?? 0);
  }

  async rename(from: string, to: string): Promise<void> {
    const [moved, replaced] = [contentOf(from), contentOf(to)];
    await this.#step(() => systemDisk.rename(from, to));
    this.#renamings.push(() => {
      renameSync(to, from);
      if (replaced !== null) writeFileSync(to, replaced);
      if (moved !== null) writeFileSync(from, moved);
    });
  }

  async remove(path: string): Promise<void> {
    const content = contentOf(path);
    await this.#step(() => systemDisk.remove(path));
    if (content !== null) this.#renamings.push(() => writeFileSync(path, content));
  }

  async syncFolder(folder: string): Promise<void> {
    const before = this.#renamings.length;
    await this.#step(() => systemDisk.syncFolder(folder));
    this.#renamings.splice(0, before);
  }

  // Private

  #fileOf(path: string, file: DiskFile, length: number): DiskFile {
    let synced = length;
    return {
      write: async (bytes, position) => {
        this.#unsynced.set(path, synced);
        const part = bytes.subarray(0, Math.floor(bytes.length * this.#crash.kept));
        await this.#step(
          () => file.write(bytes, position),
          () => file.write(part, position),
        );
      },
      truncate: (to) => this.#step(() => file.truncate(to)),
      sync: async () => {
        await this.#step(() => file.sync());
        synced = contentOf(path)?.length ?? synced;
        this.#unsynced.delete(path);
      },
      inPlace: () => (this.#dead ? Promise.resolve(false) : file.inPlace()),
      close: () => file.close(),
    };
  }

  async #step<T>(work: () => Promise<T>, part: () => Promise<unknown> = async () => {}): Promise<T> {
    if (this.#dead) throw new Error('the disk is gone');
    this.#count += 1;
    if (this.#count < this.#crash.at) return this.#watched(work());
    this.#dead = true;
    await part();
    await Promise.allSettled(this.#underWay);
    this.#loseUnsynced();
    throw new Error('the power went');
  }

  async #watched<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    return work.finally(() => this.#underWay.delete(work));
  }

  #loseUnsynced(): void {
    for (const [path, synced] of this.#unsynced) {
      const length = contentOf(path)?.length ?? 0;
      if (length > synced) truncateSync(path, synced + Math.floor((length - synced) * this.#crash.kept));
    }
    const lost = this.#renamings.length - Math.round(this.#renamings.length * this.#crash.kept);
    for (const undo of this.#renamings.reverse().slice(0, lost)) undo();
  }
}

function contentOf(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
