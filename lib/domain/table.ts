/** Longest run of records that is copied for one change. */
const LONGEST = 128;

const NONE: ReadonlySet<never> = new Set();

interface Chunk<T> {
  /** Sorted. */
  readonly keys: readonly string[];
  readonly records: readonly T[];
}

/**
 * Records by key, in the order of their keys. Immutable: a change makes a new table that shares all but one chunk with the
 * old one, so it costs the same among ten records and among ten thousand, and what differs is found without a look at what does not.
 */
export class Table<T> {
  /** Not `#`, so that a comparison of two states in a test sees what is in them. */
  private readonly chunks: readonly Chunk<T>[];
  readonly size: number;
  #records: readonly T[] | null = null;

  private constructor(chunks: readonly Chunk<T>[], size: number) {
    this.chunks = chunks;
    this.size = size;
  }

  static of<T>(records: Readonly<Record<string, T>>): Table<T> {
    return Table.from(Object.entries(records));
  }

  /** Of entries with the same key the last one stays. */
  static from<T>(entries: Iterable<readonly [string, T]>): Table<T> {
    const sorted = [...new Map(entries)].sort(([a], [b]) => (a < b ? -1 : 1));
    const chunks: Chunk<T>[] = [];
    for (let at = 0; at < sorted.length; at += LONGEST) {
      const part = sorted.slice(at, at + LONGEST);
      chunks.push({ keys: part.map(([key]) => key), records: part.map(([, record]) => record) });
    }
    return new Table(chunks, sorted.length);
  }

  get(key: string): T | undefined {
    const chunk = this.chunks[this.#chunkOf(key)];
    if (chunk === undefined) return undefined;
    const at = firstNotBelow(chunk.keys, key);
    return chunk.keys[at] === key ? chunk.records[at] : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** In the order of the keys; always the same array of one table. */
  get records(): readonly T[] {
    this.#records ??= this.chunks.flatMap((chunk) => chunk.records);
    return this.#records;
  }

  get keys(): readonly string[] {
    return this.chunks.flatMap((chunk) => chunk.keys);
  }

  get entries(): readonly (readonly [string, T])[] {
    return this.#entries(NONE);
  }

  put(key: string, record: T): Table<T> {
    const index = this.#chunkOf(key);
    const { keys, records } = this.chunks[index] ?? { keys: [], records: [] };
    const at = firstNotBelow(keys, key);
    if (keys[at] === key)
      return new Table(this.chunks.with(index, { keys, records: records.with(at, record) }), this.size);
    const grown = { keys: keys.toSpliced(at, 0, key), records: records.toSpliced(at, 0, record) };
    return new Table(this.chunks.toSpliced(index, 1, ...split(grown)), this.size + 1);
  }

  drop(key: string): Table<T> {
    const index = this.#chunkOf(key);
    const chunk = this.chunks[index];
    const at = chunk === undefined ? 0 : firstNotBelow(chunk.keys, key);
    if (chunk === undefined || chunk.keys[at] !== key) return this;
    const rest = { keys: chunk.keys.toSpliced(at, 1), records: chunk.records.toSpliced(at, 1) };
    return new Table(this.chunks.toSpliced(index, 1, ...(rest.keys.length === 0 ? [] : [rest])), this.size - 1);
  }

  filter(keep: (record: T) => boolean): Table<T> {
    return Table.from(this.entries.filter(([, record]) => keep(record)));
  }

  /** What must be put and dropped to make this table of `before`. A record is the same when it is the same object. */
  since(before: Table<T>): { readonly put: readonly (readonly [string, T])[]; readonly drop: readonly string[] } {
    const old = new Set(before.chunks);
    const kept = new Set(this.chunks.filter((chunk) => old.has(chunk)));
    const put = this.#entries(kept).filter(([key, record]) => before.get(key) !== record);
    const drop = before.#entries(kept).flatMap(([key]) => (this.has(key) ? [] : [key]));
    return { put, drop };
  }

  toJSON(): Record<string, T> {
    return Object.fromEntries(this.entries);
  }

  // Private

  #entries(without: ReadonlySet<Chunk<T>>): (readonly [string, T])[] {
    return this.chunks
      .filter((chunk) => !without.has(chunk))
      .flatMap(({ keys, records }) => keys.map((key, at) => [key, records[at] as T] as const));
  }

  /** Index of the last chunk that does not begin after the key; 0 when all do. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.chunks[middle]?.keys[0] ?? '') <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

// Private

function firstNotBelow(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function split<T>({ keys, records }: Chunk<T>): Chunk<T>[] {
  if (keys.length <= LONGEST) return [{ keys, records }];
  const half = LONGEST / 2;
  return [
    { keys: keys.slice(0, half), records: records.slice(0, half) },
    { keys: keys.slice(half), records: records.slice(half) },
  ];
}
