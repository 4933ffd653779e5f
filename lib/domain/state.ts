import type { BotRecord } from './bot.ts';
import type { ContainerRecord } from './container.ts';
import type { LeaseRecord, Quota } from './lease.ts';
import type { MigrationRecord } from './migration.ts';
import { Table } from './table.ts';
import type { UpgradeRecord } from './upgrade.ts';

export const SCHEMA_VERSION = 5;

/** Everything Bunkhouse must not forget. Immutable: a change makes a new value. */
export interface State {
  readonly schema: typeof SCHEMA_VERSION;
  /** Random per installation; labels containers as ours. */
  readonly installation: string;
  /** Source of generations: only ever grows, also across restarts. */
  readonly generation: number;
  /** What there may be thousands of is in tables. */
  readonly bots: Table<BotRecord>;
  readonly containers: Readonly<Record<string, ContainerRecord>>;
  readonly tokens: Readonly<Record<string, TokenRecord>>;
  /** Answers to mutations by Idempotency-Key, kept for a day. */
  readonly replies: Table<ReplyRecord>;
  readonly leases: Table<LeaseRecord>;
  /** By owner. */
  readonly quotas: Table<Quota>;
  /** When the last bot was moved to put containers together, in ms since the epoch; 0: never. */
  readonly consolidatedAt: number;
  /** By template. */
  readonly upgrades: Readonly<Record<string, UpgradeRecord>>;
  /** By instanceId. */
  readonly migrations: Table<MigrationRecord>;
}

export type Actor = { readonly role: 'admin' } | { readonly role: 'owner'; readonly owner: string };

export interface TokenRecord {
  readonly id: string;
  /** SHA-256 of the token, hex. The token itself is shown once and kept nowhere. */
  readonly hash: string;
  readonly actor: Actor;
  readonly createdAt: string;
}

export interface ReplyRecord {
  /** Hash of method, path, actor and body: the same key with another request is a CONFLICT. */
  readonly request: string;
  readonly status: number;
  readonly body: string;
  readonly at: string;
}

export function emptyState(installation: string): State {
  return {
    schema: SCHEMA_VERSION,
    installation,
    generation: 0,
    bots: Table.of({}),
    containers: {},
    tokens: {},
    replies: Table.of({}),
    leases: Table.of({}),
    quotas: Table.of({}),
    consolidatedAt: 0,
    upgrades: {},
    migrations: Table.of({}),
  };
}
