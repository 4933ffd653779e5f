/** A file as a vault lists it. */
export interface VaultFile {
  readonly name: string;
  readonly bytes: number;
}

/** What a vault is given to keep. `bytes` is the length of all chunks together. */
export interface VaultContent {
  readonly bytes: number;
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * A place for backups: a folder or a bucket. Files are written once, as a whole, and for nobody else to read. Every
 * method may throw STORE_UNAVAILABLE, with the reason and never a credential in it.
 */
export interface Vault {
  /** For people, without credentials. */
  readonly place: string;
  list(): Promise<readonly VaultFile[]>;
  /** Durable when it resolves. When it throws, or the chunks do, nothing of that name is kept. */
  write(name: string, content: VaultContent): Promise<void>;
  /** Throws NOT_FOUND, also while it is read. */
  read(name: string): AsyncIterable<Uint8Array>;
  /** No-op when absent. */
  remove(name: string): Promise<void>;
  close(): void;
}
