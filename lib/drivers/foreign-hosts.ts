import { hasCode, messageOf } from '../domain/errors.ts';
import type { DeploymentRef, RestartPolicy } from '../domain/migration.ts';
import type { Clock } from '../util/clock.ts';
import { withDeadline } from '../util/deadline.ts';
import type { Deployment, Deployments, ForeignHost } from './foreign-host.ts';

const QUESTION_MS = 20_000;
/** On top of the time that a container has to end. */
const STOP_MS = 30_000;
const WRITE_MS = 600_000;
/** Between two pieces of what is read. */
const PIECE_MS = 60_000;

/** Containers and folders as one host: each call goes to the one it is about. Nobody is waited for longer than for ever. */
export class ForeignHosts implements ForeignHost {
  readonly #containers: ForeignHost;
  readonly #folders: ForeignHost;
  readonly #clock: Clock;

  constructor({ containers, folders, clock }: { containers: ForeignHost; folders: ForeignHost; clock: Clock }) {
    this.#containers = containers;
    this.#folders = folders;
    this.#clock = clock;
  }

  /** Without an engine there may still be folders, and nothing is known of containers. */
  async list(from: string | null): Promise<Deployments> {
    const folders = await this.#folders.list(from);
    try {
      const containers = await this.#within(QUESTION_MS, 'the list of containers', this.#containers.list(from));
      return {
        found: [...containers.found, ...folders.found],
        trouble: [...containers.trouble, ...folders.trouble],
      };
    } catch (error) {
      if (!hasCode(error, 'DRIVER_UNAVAILABLE') && !hasCode(error, 'DEADLINE')) throw error;
      return { found: folders.found, trouble: [messageOf(error), ...folders.trouble] };
    }
  }

  inspect(ref: DeploymentRef): Promise<Deployment | null> {
    return this.#within(QUESTION_MS, 'the look at an old deployment', this.#of(ref).inspect(ref));
  }

  setRestartPolicy(ref: DeploymentRef, policy: RestartPolicy): Promise<void> {
    return this.#within(QUESTION_MS, 'the change of a restart policy', this.#of(ref).setRestartPolicy(ref, policy));
  }

  stop(ref: DeploymentRef, graceSeconds: number): Promise<void> {
    const ms = graceSeconds * 1000 + STOP_MS;
    return this.#within(ms, 'the stop of an old deployment', this.#of(ref).stop(ref, graceSeconds));
  }

  start(ref: DeploymentRef): Promise<void> {
    return this.#within(STOP_MS, 'the start of an old deployment', this.#of(ref).start(ref));
  }

  remove(ref: DeploymentRef): Promise<void> {
    return this.#within(STOP_MS, 'the removal of an old deployment', this.#of(ref).remove(ref));
  }

  sizeOf(ref: DeploymentRef, path: string): Promise<number | null> {
    return this.#of(ref).sizeOf(ref, path);
  }

  async *readTree(ref: DeploymentRef, path: string): AsyncGenerator<Uint8Array> {
    const pieces = this.#of(ref).readTree(ref, path)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#within(PIECE_MS, 'the reading of an old deployment', pieces.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      // Not waited for: what hangs ends only after the piece that it hangs in.
      void pieces.return?.().catch(() => {});
    }
  }

  writeTree(ref: DeploymentRef, folder: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#within(WRITE_MS, 'the writing into an old deployment', this.#of(ref).writeTree(ref, folder, archive));
  }

  boundPorts(ports: readonly number[]): Promise<readonly number[]> {
    return this.#folders.boundPorts(ports);
  }

  #of(ref: DeploymentRef): ForeignHost {
    return ref.kind === 'folder' ? this.#folders : this.#containers;
  }

  #within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
    return withDeadline(this.#clock, ms, what, work);
  }
}
