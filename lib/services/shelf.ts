import { createHash } from 'node:crypto';
import type { Vault, VaultContent } from '../backup/vault.ts';
import type { ArchiveInfo, BackupInfo } from '../domain/agent.ts';
import { type BackupFacts, type BackupKind, backupId, type KeptBot, parseBackupId } from '../domain/backup.ts';
import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import { type Clock, isoTime } from '../util/clock.ts';
import { mapLimited } from '../util/limit.ts';
import type { Logger } from '../util/logger.ts';
import { factsSchema, keptBot } from './shelf-schema.ts';
import { checked, checkedOut, collect } from './shelf-streams.ts';

const ARCHIVE = '.tar.gz';
/** Facts, which are shown. */
const FACTS = '.json';
/** What the bot is made again from, which is secret. */
const BOT = '.bot.json';
const READS_AT_ONCE = 16;
const ORPHAN_MS = 86_400_000;

/** A backup before it is kept. */
export interface Draft {
  readonly bot: string;
  readonly kind: BackupKind;
  /** Null: a directory whose bot nobody knows. */
  readonly record: KeptBot | null;
  readonly packed: ArchiveInfo | BackupInfo;
}

export interface ShelfOptions {
  readonly vault: Vault;
  readonly clock: Clock;
  readonly log: Logger;
  /** Random lower-case letters and digits. */
  readonly newId: () => string;
}

/**
 * Backups in a vault: three files each, `ID.json`, `ID.bot.json` and last `ID.tar.gz`, with which it is there. Every sum is
 * checked on the way in and on the way out.
 */
export class Shelf {
  readonly #vault: Vault;
  readonly #options: ShelfOptions;
  readonly #known = new Map<string, BackupFacts>();

  constructor(options: ShelfOptions) {
    this.#options = options;
    this.#vault = options.vault;
  }

  get place(): string {
    return this.#vault.place;
  }

  /** Durable when it resolves. Throws STORE_UNAVAILABLE, also when what arrived is not what was packed; nothing is kept then. */
  async save(draft: Draft, chunks: AsyncIterable<Uint8Array>): Promise<BackupFacts> {
    const facts = factsOf(draft, isoTime(this.#options.clock.now()), this.#options.newId());
    const { id, bytes, sha256 } = facts;
    try {
      await this.#vault.write(id + FACTS, json(facts));
      if (draft.record !== null) await this.#vault.write(id + BOT, json(draft.record));
      await this.#vault.write(id + ARCHIVE, { bytes, chunks: checked(chunks, sha256 ?? '') });
    } catch (error) {
      await this.remove(id).catch(() => {});
      throw error;
    }
    this.#known.set(id, facts);
    return facts;
  }

  /** All there are, oldest first of each bot. */
  async list(): Promise<readonly BackupFacts[]> {
    const files = new Map((await this.#vault.list()).map(({ name, bytes }) => [name, bytes]));
    const ids = [...files.keys()]
      .filter((name) => name.endsWith(ARCHIVE))
      .map((name) => name.slice(0, -ARCHIVE.length));
    const present = new Set(ids);
    for (const id of this.#known.keys()) if (!present.has(id)) this.#known.delete(id);
    const found = await mapLimited(ids, READS_AT_ONCE, (id) =>
      this.#facts(id, files.get(id + ARCHIVE) ?? 0, files.has(id + FACTS)),
    );
    return found.filter((facts) => facts !== null).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Those of a bot, as far as they were seen when all were listed, and since. */
  knownOf(bot: string): readonly BackupFacts[] {
    return [...this.#known.values()].filter((facts) => facts.bot === bot);
  }

  /** All that are known, without a look. */
  get known(): Iterable<BackupFacts> {
    return this.#known.values();
  }

  /** Null when there is none of that id. */
  async find(id: string): Promise<BackupFacts | null> {
    return this.#known.get(id) ?? (await this.list()).find((facts) => facts.id === id) ?? null;
  }

  /** What its bot is made again from; null: nobody wrote that down. */
  async bot(id: string): Promise<KeptBot | null> {
    try {
      return keptBot.parse(JSON.parse((await collect(this.#vault.read(id + BOT))).toString('utf8')));
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return null;
      if (error instanceof BunkhouseError) throw error;
      // Its content is secret, so it is not quoted.
      throw new BunkhouseError('INVALID', `${id + BOT} in ${this.place} is damaged`);
    }
  }

  /** The packed archive. Throws NOT_FOUND; INVALID at its end when it is not what was kept. */
  content({ id, sha256, bytes }: BackupFacts): AsyncGenerator<Uint8Array> {
    return checkedOut(id, this.#vault.read(id + ARCHIVE), sha256, bytes);
  }

  /** No-op when absent. The archive goes first: without it the backup is not there. */
  async remove(id: string): Promise<void> {
    for (const ending of [ARCHIVE, BOT, FACTS]) await this.#vault.remove(id + ending);
    this.#known.delete(id);
  }

  /** Removes what a supervisor left that was killed while it kept a backup. Only after a day: another may be keeping one. */
  async removeOrphans(): Promise<void> {
    const names = new Set((await this.#vault.list()).map(({ name }) => name));
    for (const name of names) {
      const id = [BOT, FACTS].find((ending) => name.endsWith(ending)) && name.replace(/(\.bot)?\.json$/, '');
      const made = id === undefined ? null : parseBackupId(id);
      if (made === null || names.has(id + ARCHIVE)) continue;
      if (this.#options.clock.now() - Date.parse(made.createdAt) > ORPHAN_MS) await this.#vault.remove(name);
    }
  }

  close(): void {
    this.#vault.close();
  }

  async #facts(id: string, bytes: number, written: boolean): Promise<BackupFacts | null> {
    const known = this.#known.get(id);
    const named = parseBackupId(id);
    if (known !== undefined || named === null) return known ?? null;
    const facts = (written ? await this.#readFacts(id) : null) ?? { ...UNKNOWN, id, ...named, bytes };
    this.#known.set(id, facts);
    return facts;
  }

  /** Null when they cannot be understood: the archive is worth more than what is told of it. */
  async #readFacts(id: string): Promise<BackupFacts | null> {
    const text = await collect(this.#vault.read(id + FACTS)).catch((error: unknown) => {
      if (hasCode(error, 'NOT_FOUND')) return null;
      throw error;
    });
    try {
      return text === null ? null : factsSchema.parse(JSON.parse(text.toString('utf8')));
    } catch (error) {
      this.#options.log.warn({ id, reason: messageOf(error) }, `${id + FACTS} in ${this.place} is damaged`);
      return null;
    }
  }
}

// Private

const UNKNOWN = {
  owner: null,
  template: null,
  kind: 'deleted',
  sha256: null,
  files: null,
  unpackedBytes: null,
  databases: null,
  damaged: [],
  skipped: [],
} as const;

function factsOf({ bot, kind, record, packed }: Draft, createdAt: string, random: string): BackupFacts {
  const { bytes, sha256 } = packed;
  const found =
    'files' in packed
      ? {
          files: packed.files,
          unpackedBytes: packed.unpackedBytes,
          databases: packed.databases,
          damaged: packed.damaged,
          skipped: packed.skipped,
        }
      : {};
  const whose = record === null ? {} : { owner: record.owner, template: record.template };
  return {
    ...UNKNOWN,
    id: backupId(bot, createdAt, shortened(random)),
    bot,
    kind,
    createdAt,
    bytes,
    sha256,
    ...whose,
    ...found,
  };
}

const shortened = (random: string): string => createHash('sha256').update(random).digest('hex').slice(0, 6);

function json(value: unknown): VaultContent {
  const text = Buffer.from(JSON.stringify(value));
  return { bytes: text.length, chunks: [text] };
}
