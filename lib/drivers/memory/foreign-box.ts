import type { RestartPolicy } from '../../domain/migration.ts';
import type { Deployment } from '../foreign-host.ts';

export interface ForeignFile {
  readonly data: Buffer;
  readonly mode: number;
  readonly uid: number;
}

/** A make-believe container that Bunkhouse did not make: what the engine tells of it, and its files by absolute path. */
export interface ForeignBox {
  readonly id: string;
  readonly name: string;
  readonly told: Pick<Deployment, 'image' | 'command' | 'env' | 'workdir' | 'ports' | 'mounts' | 'labels'>;
  readonly files: Map<string, ForeignFile>;
  restartPolicy: RestartPolicy;
  alive: boolean;
  startedAt: number | null;
  /** Set: the engine cannot tell what state it is in. */
  unreadable: boolean;
  /** Times it was started. */
  starts: number;
}
