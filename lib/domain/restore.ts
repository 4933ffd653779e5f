/** That a bot's data is to be replaced. */
export interface RestoreWish {
  /** Id of the backup. */
  readonly backup: string;
  /** Its present data is backed up first. False: it was made for this restore and has none. */
  readonly replaces: boolean;
  /** Id of the backup of its present data, once that is safe. */
  readonly kept: string | null;
  /** Take damaged databases as well. */
  readonly tolerate: boolean;
  /** ISO 8601, UTC. */
  readonly since: string;
}
