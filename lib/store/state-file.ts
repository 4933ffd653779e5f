import { readFile } from 'node:fs/promises';
import type { Adapter } from 'lowdb';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import type { State } from '../domain/state.ts';
import type { Clock } from '../util/clock.ts';
import { writeDurably } from '../util/durable-write.ts';
import type { Logger } from '../util/logger.ts';
import { decodeState } from './decode.ts';
import { GoodCopies } from './good-copies.ts';
import type { Migration } from './migrations.ts';

export interface StateFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly migrations: ReadonlyMap<number, Migration>;
}

/**
 * lowdb's adapter for the state. lowdb's own one for files renames without fsync, shares one temporary name, and takes
 * whatever JSON it finds for good.
 */
export class StateFile implements Adapter<State> {
  readonly #options: StateFileOptions;
  readonly #copies: GoodCopies;

  constructor(options: StateFileOptions) {
    this.#options = options;
    this.#copies = new GoodCopies(options.path, options.clock);
  }

  /**
   * Null when there is no file and never was one. Throws STORE_CORRUPT (naming the last good copy and what to do) for
   * content that is not a valid state, UNSUPPORTED for a newer schema. Changes nothing but makes a good copy.
   */
  async read(): Promise<State | null> {
    const bytes = await this.#bytes();
    if (bytes === null) return this.#nothing();
    try {
      const text = textOf(bytes);
      const state = decodeState(text, this.#options.migrations);
      await this.#keep(() => this.#copies.keep(text));
      return state;
    } catch (error) {
      throw await this.#refusal(error);
    }
  }

  /** Durable when it resolves. Throws the system's error: the file is as it was, or (the last sync alone failed) new already. */
  async write(state: State): Promise<void> {
    const text = JSON.stringify(state);
    await writeDurably(this.#options.path, text);
    await this.#keep(() => this.#copies.keepHourly(text));
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

  /** A file that is gone while copies of it are there was lost: starting empty would forget every bot. */
  async #nothing(): Promise<null> {
    if ((await this.#copies.list()).length === 0) return null;
    throw await this.#refusal(new BunkhouseError('STORE_CORRUPT', 'it is gone, although it was there before'));
  }

  async #refusal(error: unknown): Promise<unknown> {
    if (!(error instanceof BunkhouseError)) return error;
    const { path } = this.#options;
    if (error.code !== 'STORE_CORRUPT') return new BunkhouseError(error.code, `${path}: ${error.message}.`);
    const copy = await this.#lastGood();
    const next =
      copy === null
        ? 'There is no good copy. Bring the file back from a backup; or, to begin anew and forget all bots, move it and its copies away.'
        : `The last good copy is ${copy}. To go on from it, keep what is left of the file aside and then: cp ${copy} ${path}`;
    return new BunkhouseError(
      'STORE_CORRUPT',
      `${path} is no valid state file: ${error.message}. It was left as it is. ${next}`,
      {
        details: { path, goodCopy: copy },
      },
    );
  }

  async #lastGood(): Promise<string | null> {
    for (const path of await this.#copies.list()) {
      try {
        decodeState(textOf(await readFile(path)), this.#options.migrations);
        return path;
      } catch {
        // A bad copy: an older one may be good.
      }
    }
    return null;
  }

  /** A copy is a precaution: when it cannot be made, the state itself is still safe. */
  async #keep(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.log.warn(
        { path: this.#options.path, error: messageOf(error) },
        'could not keep a copy of the state file',
      );
    }
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new BunkhouseError('STORE_CORRUPT', 'it is not UTF-8 text');
  }
}
