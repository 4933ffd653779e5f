import { readFile } from 'node:fs/promises';
import { BunkhouseError } from '../domain/errors.ts';
import { type JournalHeader, type Position, readCommit, readHeader } from './journal-line.ts';
import { listJournals } from './journal-names.ts';
import type { Patch } from './patch.ts';

/** Where a state file stands. */
export interface Standing extends Position {
  readonly installation: string;
}

export interface Recovered {
  /** The commits after the state file, in order. */
  readonly patches: readonly Patch[];
  /** Where they lead. */
  readonly position: Position;
}

/**
 * Reads the commits that go on from a state file. A last line that is torn was never answered and is passed over; anything
 * else that is not as it was written throws STORE_CORRUPT with what to do. Changes nothing.
 */
export async function readJournals(path: string, standing: Standing): Promise<Recovered> {
  const opened = await Promise.all((await listJournals(path)).map((journal) => open(journal, standing)));
  // One that was made and not written to says nothing: the commits may go on elsewhere.
  const journals = opened.filter(({ bytes, start }) => start < bytes.length);
  const walk = new Walk(standing);
  for (const [index, journal] of journals.entries()) {
    walk.through(
      journal,
      journals.slice(index + 1).map(({ path }) => path),
    );
  }
  return walk.end(journals.map(({ path }) => path));
}

// Private

interface Journal {
  readonly path: string;
  readonly bytes: Buffer;
  readonly header: JournalHeader;
  /** Of the first commit. */
  readonly start: number;
}

async function open(path: string, { installation }: Standing): Promise<Journal> {
  const bytes = await readFile(path);
  const end = lineEnd(bytes, 0);
  const header = readHeader(bytes.toString('utf8', 0, end));
  if (header === null) throw damaged(path, 0, null, []);
  if (header.installation !== installation) throw foreign([path], 'it is of another installation');
  return { path, bytes, header, start: end + 1 };
}

/** Goes through the journals, line by line, and checks each step of the chain. */
class Walk {
  readonly #standing: Standing;
  readonly #patches: Patch[] = [];
  #position: Position | null = null;

  constructor(standing: Standing) {
    this.#standing = standing;
  }

  /** `later`: the journals that come after this one. */
  through({ path, bytes, header, start }: Journal, later: readonly string[]): void {
    this.#begin(path, header, later);
    for (let at = start; at < bytes.length; ) {
      const end = lineEnd(bytes, at);
      if (!this.#commit(path, bytes.toString('utf8', at, end), later)) {
        if (later.length === 0 && isTorn(bytes, at)) return;
        throw damaged(path, at, this.#position, later);
      }
      at = end + 1;
    }
  }

  end(journals: readonly string[]): Recovered {
    const position = this.#position ?? this.#standing;
    if (position.sequence < this.#standing.sequence) {
      throw foreign(
        journals,
        `they end at commit ${position.sequence}, before the state file (${this.#standing.sequence})`,
      );
    }
    return { patches: this.#patches, position: { sequence: position.sequence, hash: position.hash } };
  }

  // Private

  #begin(journal: string, header: JournalHeader, later: readonly string[]): void {
    const { sequence } = this.#standing;
    if (this.#position === null && header.sequence > sequence) {
      const gap = `it goes on from commit ${header.sequence}, and the state file stands at ${sequence}`;
      throw foreign([journal, ...later], gap);
    }
    if (this.#position !== null && !isSame(header, this.#position)) {
      throw foreign(
        [journal, ...later],
        `it does not go on from commit ${this.#position.sequence}, the last before it`,
      );
    }
    this.#arrive(journal, header, later);
  }

  /** False: this line is not the next commit. */
  #commit(journal: string, line: string, later: readonly string[]): boolean {
    const read = this.#position === null ? null : readCommit(this.#position, line);
    if (read === null) return false;
    this.#arrive(journal, read.position, later);
    if (read.position.sequence > this.#standing.sequence) this.#patches.push(read.patch);
    return true;
  }

  #arrive(journal: string, position: Position, later: readonly string[]): void {
    this.#position = position;
    if (position.sequence === this.#standing.sequence && position.hash !== this.#standing.hash) {
      throw foreign([journal, ...later], `its commit ${position.sequence} is not the one of the state file`);
    }
  }
}

/** Without the end of line: the end of the file. */
function lineEnd(bytes: Buffer, start: number): number {
  const end = bytes.indexOf(0x0a, start);
  return end === -1 ? bytes.length : end;
}

/**
 * Whether what begins here is a write that was cut short: the last thing in the file, and either without its end or with
 * a block that never reached the disk, which reads as zeros.
 */
function isTorn(bytes: Buffer, start: number): boolean {
  const end = lineEnd(bytes, start);
  return end >= bytes.length || (end === bytes.length - 1 && bytes.includes(0, start));
}

function isSame(one: Position, other: Position): boolean {
  return one.sequence === other.sequence && one.hash === other.hash;
}

function damaged(journal: string, byte: number, last: Position | null, later: readonly string[]): BunkhouseError {
  const good = last === null ? '' : ` Everything up to commit ${last.sequence} is good.`;
  const command =
    last === null ? `mv ${[journal, ...later].join(' ')} ELSEWHERE` : `truncate -s ${byte} ${journal}${also(later)}`;
  return new BunkhouseError(
    'STORE_CORRUPT',
    `${journal} is damaged at byte ${byte}: a commit is missing there or is not as it was written. Nothing was changed.${good} ` +
      `To go on without what came after it, keep a copy of the folder and then: ${command}`,
    { details: { path: journal, byte, lastGood: last?.sequence ?? null } },
  );
}

function also(later: readonly string[]): string {
  return later.length === 0 ? '' : ` && rm ${later.join(' ')}`;
}

function foreign(journals: readonly string[], why: string): BunkhouseError {
  const [journal] = journals;
  return new BunkhouseError(
    'STORE_CORRUPT',
    `${journal} does not belong to this state file: ${why}. Nothing was changed. If an older copy of the state file was put ` +
      `back, and you want to go on from exactly that copy: mv ${journals.join(' ')} ELSEWHERE`,
    { details: { path: journal } },
  );
}
