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
/** For so long a look at the vault stands: what others put there or took away is seen after that. */
const FRESH_MS = 10_000;
/** The same for whoever names one that is not known. */
const FRESH_FOR_ONE_MS = 1_000;

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
  /** Removed by us: a look that began before does not know. Ids are used once. */
  readonly #removed = new Set<string>();
  #look: { readonly at: number; over: boolean; readonly done: Promise<void> } | null = null;

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

  /** All there are, oldest first of each bot. However often it is asked for, the vault is looked at now and then. */
  async list(): Promise<readonly BackupFacts[]> {
    await this.#lookUnless(FRESH_MS);
    return [...this.#known.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
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
    if (!this.#known.has(id)) await this.#lookUnless(FRESH_FOR_ONE_MS);
    return this.#known.get(id) ?? null;
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
    this.#removed.add(id);
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

  /** One look at a time, and none when the last one began less than that ago. */
  async #lookUnless(freshMs: number): Promise<void> {
    const now = this.#options.clock.monotonic();
    const look = this.#look;
    if (look !== null && (!look.over || now - look.at <= freshMs)) return look.done;
    const next = { at: now, over: false, done: this.#lookAll() };
    this.#look = next;
    try {
      await next.done;
      next.over = true;
    } catch (error) {
      this.#look = null;
      throw error;
    }
  }

  /** What is kept or removed meanwhile stays as it is noted by whoever did it. */
  async #lookAll(): Promise<void> {
    const before = [...this.#known.keys()];
    this.#removed.clear();
    const files = new Map((await this.#vault.list()).map(({ name, bytes }) => [name, bytes]));
    for (const id of before) if (!files.has(id + ARCHIVE)) this.#known.delete(id);
    const ids = [...files.keys()]
      .filter((name) => name.endsWith(ARCHIVE))
      .map((name) => name.slice(0, -ARCHIVE.length));
    await mapLimited(ids, READS_AT_ONCE, (id) => this.#facts(id, files.get(id + ARCHIVE) ?? 0, files.has(id + FACTS)));
    for (const id of this.#removed) this.#known.delete(id);
  }

  async #facts(id: string, bytes: number, written: boolean): Promise<void> {
    const known = this.#known.get(id);
    const named = parseBackupId(id);
    if (known !== undefined || named === null) return;
    const facts = (written ? await this.#readFacts(id) : null) ?? { ...UNKNOWN, id, ...named, bytes };
    this.#known.set(id, facts);
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
