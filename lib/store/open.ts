import { join } from 'node:path';
import type { BunkhouseError } from '../domain/errors.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/logger.ts';
import { openFileStore } from './file-store.ts';
import type { Store } from './store.ts';
import type { ValkeyLocation } from './valkey/location.ts';

export type StoreLocation =
  | { readonly kind: 'file'; readonly path: string }
  | ({ readonly kind: 'valkey' } & ValkeyLocation);

export interface OpenOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Names the machine or engine that has the containers. Empty: what the state says of it is forgotten. */
  readonly home: string;
  /** Folder for what must be remembered here when the state is elsewhere. */
  readonly folder: string;
  /** Called once when another process leads and this one waits until it does itself. */
  readonly onStandby: (leader: string) => void;
}

export interface OpenedStore {
  readonly store: Store;
  /** Resolves when another process leads, or may: then this one must end without touching anything. */
  readonly lost: Promise<BunkhouseError>;
}

/** The store the settings name; resolves when this process may write to it. Only the client of its own kind is loaded. */
export async function openStore(location: StoreLocation, options: OpenOptions): Promise<OpenedStore> {
  if (location.kind === 'file') {
    return { store: await openFileStore({ ...options, path: location.path }), lost: new Promise(() => {}) };
  }
  const { openValkeyStore } = await import('./valkey/valkey-store.ts');
  const marker = join(options.folder, `valkey-${location.prefix}`);
  const store = await openValkeyStore({ ...options, location, marker });
  return { store, lost: store.lost };
}
