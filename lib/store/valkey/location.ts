/** Where a server is and which of its keys are ours. */
export interface ValkeyLocation {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly db: number;
  /** Beginning of all our keys; one installation each. */
  readonly prefix: string;
  readonly username: string | null;
  readonly password: string | null;
  /** Read at each start, in place of `password`. */
  readonly passwordFile: string | null;
  /** How long a leader that is not heard of stays the leader. */
  readonly leaseMs: number;
}

/** For messages: no user and no password. */
export function nameOf({ host, port, db, prefix }: ValkeyLocation): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}, database ${db}, prefix ${prefix}`;
}

export interface Keys {
  readonly lease: string;
  readonly fence: string;
  readonly meta: string;
  section(name: string): string;
}

/** The braces keep all keys on one node of a cluster, so that one script may touch them. */
export function keysOf({ prefix }: ValkeyLocation): Keys {
  const key = (name: string): string => `{${prefix}}:${name}`;
  return { lease: key('lease'), fence: key('fence'), meta: key('meta'), section: (name) => key(`section:${name}`) };
}
