import type { Trouble } from './agent.ts';
import type { BotRecord } from './bot.ts';

/**
 * Why it was made. `before-restore`: of what a restore replaced, or what a bot that came back from a failed move brought along.
 * `deleted`: the archive of a deleted bot. `move`: of a bot on its way to another container, kept only until it has arrived.
 * `migration`: of a deployment of old that was brought over, or of what is carried back to it.
 */
export const BACKUP_KINDS = ['asked', 'scheduled', 'before-restore', 'deleted', 'move', 'migration'] as const;
export type BackupKind = (typeof BACKUP_KINDS)[number];

/** What is told of a backup. Nothing secret. Null: an archive from a time when nobody wrote that down. */
export interface BackupFacts {
  readonly id: string;
  readonly bot: string;
  readonly owner: string | null;
  readonly template: string | null;
  readonly kind: BackupKind;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Of the packed archive. */
  readonly bytes: number;
  readonly sha256: string | null;
  readonly files: number | null;
  readonly unpackedBytes: number | null;
  readonly databases: number | null;
  /** Databases that were not whole when it was made; of many only some. */
  readonly damaged: readonly Trouble[];
  /** What is not in it; of many only some. */
  readonly skipped: readonly Trouble[];
}

/** What a bot is made again from. Secret. */
export type KeptBot = Pick<
  BotRecord,
  | 'template'
  | 'owner'
  | 'group'
  | 'location'
  | 'files'
  | 'env'
  | 'args'
  | 'limits'
  | 'secrets'
  | 'desired'
  | 'createdAt'
>;

/** Ids are names of files: the bot's id, the time, and a few random digits. */
export function backupId(bot: string, createdAt: string, random: string): string {
  return `${bot}-${createdAt.replaceAll(/[:.]/g, '-')}-${random}`;
}

const ID = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z-[0-9a-f]{6}$/;

/** What an id says of its backup; null: it is no id. */
export function parseBackupId(id: string): { readonly bot: string; readonly createdAt: string } | null {
  const [, bot, day, hour, minute, second, ms] = ID.exec(id) ?? [];
  return bot === undefined ? null : { bot, createdAt: `${day}T${hour}:${minute}:${second}.${ms}Z` };
}

/** Whether it may stand for what was lost: one with a damaged database may not. */
export function isGood({ damaged }: Pick<BackupFacts, 'damaged'>): boolean {
  return damaged.length === 0;
}

/** What is kept of a bot beside its data. */
export function keptBot(bot: BotRecord): KeptBot {
  const { template, owner, group, location, files, env, args, limits, secrets, desired, createdAt } = bot;
  return { template, owner, group, location, files, env, args, limits, secrets, desired, createdAt };
}
