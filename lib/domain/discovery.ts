/** How deployments of old are told that have one container per bot, and what of them becomes what of a bot of this template. */
export interface Discovery {
  /** Regular expression for the names of containers; its group `id` is the bot's id. */
  readonly name: string;
  /** Regular expression for images. One of another image counts too when everything in `paths` is mounted into it. */
  readonly image: string;
  /** What its argument list begins with, that of the image included. */
  readonly command: readonly string[];
  /** Directory in the container that becomes the bot's. */
  readonly workdir: string;
  /** What of it comes along: by path in the bot's directory, the path in the container. */
  readonly paths: Readonly<Record<string, string>>;
  /** Its configuration in JSON, which may have comments; it becomes a file of the bot, byte for byte. */
  readonly config: {
    readonly path: string;
    /** Arguments that name it. */
    readonly flags: readonly string[];
    /** Key that names its owner; keys of keys with dots between. Null: the folder above its own does. */
    readonly owner: string | null;
    /** Keys it must have, and those with which it cannot come along. */
    readonly required: readonly string[];
    readonly refused: readonly string[];
    /** What every bot has in the pool, by key; that it was otherwise is told. */
    readonly expected: Readonly<Record<string, string>>;
  };
  /** Regular expression for the names of variables that come along. */
  readonly env: string;
  /** What becomes of each argument after `command`. Any other stands in the way. */
  readonly flags: Readonly<Record<string, FlagRule>>;
  /** Code that must be there. */
  readonly code: CodeRule | null;
  readonly database: DatabaseRule | null;
}

/** `-value`: what comes after it belongs to it. */
export const FLAG_RULES = ['keep', 'keep-value', 'drop', 'drop-value'] as const;
export type FlagRule = (typeof FLAG_RULES)[number];

export interface CodeRule {
  /** Argument, or else key of the configuration, that names it. */
  readonly flag: string;
  readonly key: string;
  /** Folder of the bot's directory that is searched, with all below. */
  readonly folder: string;
  /** Regular expression for the lines that declare some; its group `name` is the name. */
  readonly declares: string;
}

/** A SQLite database, named by an URL (`sqlite:///path`, four slashes for an absolute one). */
export interface DatabaseRule {
  readonly flag: string;
  readonly key: string;
  /** Where nothing names it: the first of these that is there. */
  readonly defaults: readonly string[];
  /** Tables of which a living bot never loses a row. */
  readonly tables: readonly string[];
  /** Questions in SQL with one value as the answer, told as they were and are. */
  readonly answers: Readonly<Record<string, string>>;
}
