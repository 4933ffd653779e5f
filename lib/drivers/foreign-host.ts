import type { DeploymentRef, RestartPolicy } from '../domain/migration.ts';

/** A container, or the files of one, as whoever has it tells of it. */
export interface Deployment {
  readonly ref: DeploymentRef;
  readonly name: string;
  readonly image: string;
  /** That of the image and its arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** `stopped` is a positive proof that none of its processes is alive. */
  readonly state: 'running' | 'stopped' | 'unknown';
  /** Why it is unknown, or what is odd about it; empty otherwise. */
  readonly note: string;
  readonly restartPolicy: RestartPolicy | null;
  readonly ports: readonly { readonly host: string; readonly hostPort: number; readonly containerPort: number }[];
  readonly mounts: readonly DeploymentMount[];
  readonly startedAt: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

export interface DeploymentMount {
  readonly kind: 'bind' | 'volume' | 'other';
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface Deployments {
  readonly found: readonly Deployment[];
  /** What could not be looked at, and why. Empty: what is not in `found` is not there. */
  readonly trouble: readonly string[];
}

/**
 * Where deployments are that Bunkhouse did not make. Only what a migration is recorded for is ever changed. Every method may
 * throw DRIVER_UNAVAILABLE or DEADLINE, which say nothing about the deployment; all may be repeated.
 */
export interface ForeignHost {
  /** All there are, running or not. `from`: a folder that holds deployments as `OWNER/ID/`, looked through as well. */
  list(from: string | null): Promise<Deployments>;
  /** Null: positively gone. */
  inspect(ref: DeploymentRef): Promise<Deployment | null>;
  /** No-op where nothing restarts it. Throws NOT_FOUND. */
  setRestartPolicy(ref: DeploymentRef, policy: RestartPolicy): Promise<void>;
  /** Resolves only when all its processes are proven dead. Throws NOT_FOUND; UNSUPPORTED when that is not in our power. */
  stop(ref: DeploymentRef, graceSeconds: number): Promise<void>;
  /** No-op when it runs. Throws NOT_FOUND, PORT_IN_USE, UNSUPPORTED. */
  start(ref: DeploymentRef): Promise<void>;
  /** Remove it; what is mounted into it stays. No-op when absent. Throws CONFLICT while it runs. */
  remove(ref: DeploymentRef): Promise<void>;
  /** Bytes of what is at that path in it; null when that cannot be told without reading all of it. */
  sizeOf(ref: DeploymentRef, path: string): Promise<number | null>;
  /** A tar archive of what is at that path in it, running or not: its names begin with the last part of the path. Throws NOT_FOUND. */
  readTree(ref: DeploymentRef, path: string): AsyncIterable<Uint8Array>;
  /** Unpacks a tar archive in a folder of it; files that are there are replaced. Throws NOT_FOUND, CONFLICT while it runs. */
  writeTree(ref: DeploymentRef, folder: string, archive: AsyncIterable<Uint8Array>): Promise<void>;
  /** Ports of this machine, of those given, that somebody has bound. */
  boundPorts(ports: readonly number[]): Promise<readonly number[]>;
}
