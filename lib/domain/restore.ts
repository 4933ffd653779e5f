/** That a bot's data is to be replaced. */
export interface RestoreWish {
  /** Id of the backup. */
  readonly backup: string;
  /** Its present data is backed up first. False: it was made for this restore and has none. */
  readonly replaces: boolean;
  /** Id of the backup of its present data, once that is safe. */
  readonly kept: string | null;
  /** Take damaged databases as well, and leave out what is no file. */
  readonly tolerate: boolean;
  /** ISO 8601, UTC. */
  readonly since: string;
  /**
   * Why it will not be: the backup was refused, and the bot has nothing to go back to. It is held until somebody deletes it or
   * tries again. Null: it goes on.
   */
  readonly failed: string | null;
}

/** A bot that was made for a restore which cannot be. */
export function isStillborn<T extends { readonly restore: RestoreWish | null }>(
  bot: T,
): bot is T & { readonly restore: RestoreWish & { readonly failed: string } } {
  return bot.restore !== null && bot.restore.failed !== null;
}
