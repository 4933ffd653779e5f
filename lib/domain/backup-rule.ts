/** How many good backups of a bot are kept: the newest ones, and the newest of each of so many days and weeks (UTC) that have one. */
export interface Keep {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
}

/** When bots of a template are backed up, and what is kept. Null: as the settings say. */
export interface BackupRule {
  /** A cron expression of five fields, in the supervisor's time zone. */
  readonly schedule: 'never' | (string & {}) | null;
  readonly keep: Keep | null;
}
