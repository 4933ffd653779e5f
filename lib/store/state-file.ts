import { readFile } from 'node:fs/promises';
import type { Adapter } from 'lowdb';
import { z } from 'zod';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { State } from '../domain/state.ts';
import { Table } from '../domain/table.ts';
import type { Clock } from '../util/clock.ts';
import type { Disk } from '../util/disk.ts';
import { writeDurably } from '../util/durable-write.ts';
import type { Logger } from '../util/logger.ts';
import { check, decodeState, parseDocument, schemaOf } from './decode.ts';
import { GoodCopies } from './good-copies.ts';
import { occupiedBy, settleHome } from './home.ts';
import { firstPosition, type Position } from './journal-line.ts';
import { listJournals } from './journal-names.ts';
import type { Migration } from './migrations.ts';
import { applyPatches, type Document } from './patch.ts';
import { readJournals, type Standing } from './recovery.ts';
import { positionSchema } from './schema.ts';

export interface StateFileOptions {
  readonly path: string;
  /** Where this process has its containers; empty: not to be said, and what the file says of it is forgotten. */
  readonly home: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly disk: Disk;
  readonly migrations: ReadonlyMap<number, Migration>;
}

/** A state and the last commit it holds. */
export interface Snapshot {
  readonly state: State;
  readonly position: Position;
}

/**
 * lowdb's adapter for the state: a file that is written now and then, and the journals that go on from it. lowdb's own
 * adapter for files renames without fsync, shares one temporary name, and takes whatever JSON it finds for good.
 */
export class StateFile implements Adapter<Snapshot> {
  readonly copies: GoodCopies;
  readonly #options: StateFileOptions;
  #home: string;
  #size = 0;

  constructor(options: StateFileOptions) {
    this.#options = options;
    this.#home = options.home;
    this.copies = new GoodCopies(options.path, options.clock, options.disk);
  }

  /** Bytes of the file as it was last written. */
  get size(): number {
    return this.#size;
  }

  /**
   * The state of the file and its journals. Null when there is no file and never was one. Throws STORE_CORRUPT (naming the
   * last good copy and what to do) for content that is not a valid state, UNSUPPORTED for a newer schema, CONFLICT for
   * one that tells of containers elsewhere. Changes nothing but makes a good copy.
   */
  async read(): Promise<Snapshot | null> {
    const bytes = await this.#bytes();
    if (bytes === null) return this.#nothing();
    const document = await this.#orRefusal(() => parseDocument(textOf(bytes)));
    const standing = await this.#orRefusal(() => standingOf(document));
    const { patches, position } = await readJournals(this.#options.path, standing);
    const state = await this.#orRefusal(() => this.#decode(applyPatches(document, patches)));
    this.#home = this.#settleHome(document, state);
    await this.keepCopy();
    return { state, position };
  }

  /** Durable when it resolves. Throws the system's error: the file is as it was, or (the last sync alone failed) new already. */
  async write(snapshot: Snapshot): Promise<void> {
    this.#size = await writeDurably(this.#options.path, pieces(snapshot, this.#home), this.#options.disk);
  }

  /** Copies the file as it is. A copy is a precaution: when it cannot be made, the state itself is still safe. */
  async keepCopy(): Promise<void> {
    const { path, log } = this.#options;
    try {
      await this.copies.keep();
    } catch (error) {
      log.warn({ path, error: messageOf(error) }, 'could not keep a copy of the state file');
    }
  }

  // Private

  async #bytes(): Promise<Buffer | null> {
    try {
      return await readFile(this.#options.path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      const next = 'Start Bunkhouse as the user who owns the file.';
      throw new BunkhouseError('STORE_UNAVAILABLE', `The state file cannot be read: ${messageOf(error)}. ${next}`);
    }
  }

  /** A file that is gone while copies or journals of it are there was lost: starting empty would forget every bot. */
  async #nothing(): Promise<null> {
    const traces = [...(await this.copies.list()), ...(await listJournals(this.#options.path))];
    if (traces.length === 0) return null;
    throw await this.#refusal(new BunkhouseError('STORE_CORRUPT', 'it is gone, although it was there before'));
  }

  #decode({ journal: _, home: __, ...document }: Document): State {
    return decodeState(document, this.#options.migrations);
  }

  /** Versions before schema 5 noted nothing. */
  #settleHome(document: Document, { containers }: State): string {
    const known = typeof document.home === 'string' ? document.home : null;
    const { path: state, home } = this.#options;
    return settleHome({ known, home, occupied: occupiedBy(Object.values(containers)), state });
  }

  async #orRefusal<T>(work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      throw await this.#refusal(error);
    }
  }

  async #refusal(error: unknown): Promise<unknown> {
    if (!(error instanceof BunkhouseError)) return error;
    const { path } = this.#options;
    if (error.code !== 'STORE_CORRUPT') return new BunkhouseError(error.code, `${path}: ${error.message}.`);
    const { copy, next } = await this.#wayOut();
    return new BunkhouseError(
      'STORE_CORRUPT',
      `${path} is no valid state file: ${error.message}. It was left as it is. ${next}`,
      { details: { path, goodCopy: copy } },
    );
  }

  async #wayOut(): Promise<{ readonly copy: string | null; readonly next: string }> {
    const { path } = this.#options;
    const good = await this.#lastGood();
    if (good === null) {
      const next = `There is no good copy. Bring the file back from a backup; or, to begin anew and forget all bots, move it and its copies and journals away.`;
      return { copy: null, next };
    }
    const { copy, document } = good;
    const journals = await listJournals(path);
    const fit = await readJournals(path, standingOf(document)).then(
      () => true,
      () => false,
    );
    const aside = fit ? '' : `mv ${journals.join(' ')} ELSEWHERE && `;
    const keep = 'To go on from it, keep what is left of the file aside and then:';
    const rest =
      fit && journals.length > 0 ? ' The journals beside it hold what came after it and are read again.' : '';
    return { copy, next: `The last good copy is ${copy}.${rest} ${keep} ${aside}cp ${copy} ${path}` };
  }

  async #lastGood(): Promise<{ readonly copy: string; readonly document: Document } | null> {
    for (const copy of await this.copies.list()) {
      try {
        const document = parseDocument(textOf(await readFile(copy)));
        standingOf(document);
        this.#decode(document);
        return { copy, document };
      } catch {
        // A bad copy: an older one may be good.
      }
    }
    return null;
  }
}

// Private

const FIRST_SCHEMA_WITH_JOURNALS = 2;

function standingOf(document: Document): Standing {
  const installation = String(document.installation);
  if (schemaOf(document) < FIRST_SCHEMA_WITH_JOURNALS) return { installation, ...firstPosition(installation) };
  return { installation, ...check(z.strictObject({ journal: positionSchema }), { journal: document.journal }).journal };
}

const PIECE = 64 * 1024;

/** The file's text piece by piece, so that the process can do other things between them. */
function* pieces({ state, position }: Snapshot, home: string): Generator<string> {
  let piece = `{"journal":${JSON.stringify(position)},"home":${JSON.stringify(home)}`;
  for (const [name, value] of Object.entries(state)) {
    piece += `,${JSON.stringify(name)}:`;
    if (typeof value !== 'object') {
      piece += JSON.stringify(value);
      continue;
    }
    let before = '{';
    for (const [key, record] of value instanceof Table ? value.entries : Object.entries(value)) {
      piece += `${before}${JSON.stringify(key)}:${JSON.stringify(record)}`;
      before = ',';
      if (piece.length < PIECE) continue;
      yield piece;
      piece = '';
    }
    piece += before === '{' ? '{}' : '}';
  }
  yield `${piece}}`;
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new BunkhouseError('STORE_CORRUPT', 'it is not UTF-8 text');
  }
}
