import type { Readable } from 'node:stream';
import Docker, {
  type ContainerCreateOptions,
  type ContainerInfo,
  type ContainerInspectInfo,
  type GetEventsOptions,
  type NetworkCreateOptions,
  type NetworkInspectInfo,
} from 'dockerode';
import { BunkhouseError } from '../../domain/errors.ts';
import type { RestartPolicy } from '../../domain/migration.ts';
import { KeyedMutex } from '../../util/keyed-mutex.ts';
import type { Labels } from '../labels.ts';
import { engineAddress } from './address.ts';
import { engineError, engineStatus } from './errors.ts';
import { textOfFrames } from './output.ts';
import { firstFile, packTar } from './tar.ts';

/** What is asked of the engine about it itself. */
export interface EngineFacts {
  readonly apiVersion: string;
  readonly system: string;
  /** Names like `name=rootless`. */
  readonly security: readonly string[];
  /** Limits that its kernel cannot hold containers to. */
  readonly missingLimits: readonly string[];
  /** Release of its kernel: another than ours is another machine. */
  readonly kernel: string;
  /** `1` or `2`. */
  readonly cgroupVersion: string;
}

/**
 * Calls to one Docker engine, in the words of its API. No decisions: only "already so" and "not there" are made answers
 * instead of errors. Every method may throw DRIVER_UNAVAILABLE, or INTERNAL with what the engine said.
 */
export class Engine {
  readonly #docker: Docker;
  readonly #networks = new KeyedMutex();

  /** Throws DRIVER_UNAVAILABLE for an address that cannot be used. */
  constructor(dockerHost: string) {
    this.#docker = new Docker(engineAddress(dockerHost));
  }

  facts(): Promise<EngineFacts> {
    return ask('say what it is', async () => {
      const [version, info] = await Promise.all([this.#docker.version(), this.#docker.info()]);
      const limits = { memory: info.MemoryLimit, cpus: info.CpuCfsQuota, processes: info.PidsLimit };
      return {
        apiVersion: version.ApiVersion,
        system: version.Os,
        security: info.SecurityOptions ?? [],
        missingLimits: Object.entries(limits).flatMap(([name, able]) => (able === false ? [name] : [])),
        kernel: info.KernelVersion ?? '',
        cgroupVersion: info.CgroupVersion ?? '1',
      };
    });
  }

  list(label: string): Promise<ContainerInfo[]> {
    return ask('list containers', async () => {
      const list = await this.#docker.listContainers({ all: true, filters: { label: [label] } });
      // Absence from this list is taken as a proof, so it must be one.
      if (!Array.isArray(list)) throw new Error('what answers there is no Docker engine');
      return list;
    });
  }

  /** Ids of all containers there are, whoever made them. */
  ids(): Promise<string[]> {
    return ask('list containers', async () => {
      const list = await this.#docker.listContainers({ all: true });
      if (!Array.isArray(list)) throw new Error('what answers there is no Docker engine');
      return list.map(({ Id }) => Id);
    });
  }

  inspect(name: string): Promise<ContainerInspectInfo | null> {
    return ask(`inspect ${name}`, () => absent(this.#docker.getContainer(name).inspect()));
  }

  /** Throws NOT_FOUND. */
  async mustHaveImage(image: string): Promise<void> {
    const found = await ask(`inspect image ${image}`, () => absent(this.#docker.getImage(image).inspect()));
    if (found !== null) return;
    throw new BunkhouseError(
      'NOT_FOUND',
      `the Docker engine has no image ${image}: build it with scripts/build-images`,
    );
  }

  /** Throws CONFLICT when the name was taken meanwhile. */
  create(options: ContainerCreateOptions & { name: string }): Promise<void> {
    return ask(`create ${options.name}`, async () => {
      try {
        await this.#docker.createContainer(options);
      } catch (error) {
        if (engineStatus(error) !== 409) throw error;
        throw new BunkhouseError('CONFLICT', `there is a container ${options.name} already`, { cause: error });
      }
    });
  }

  start(name: string): Promise<void> {
    return ask(`start ${name}`, () => alreadySo(this.#docker.getContainer(name).start()));
  }

  /** Resolves when the engine has ended all processes. No-op for a stopped or absent container. */
  stop(name: string, graceSeconds: number): Promise<void> {
    return ask(`stop ${name}`, async () => {
      await absent(alreadySo(this.#docker.getContainer(name).stop({ t: Math.ceil(graceSeconds) })));
    });
  }

  /** Removes a container, not its volume. No-op when absent; throws CONFLICT while it runs, unless by force. */
  remove(name: string, { force = false } = {}): Promise<void> {
    return ask(`remove ${name}`, async () => {
      try {
        await absent(this.#docker.getContainer(name).remove({ force }));
      } catch (error) {
        if (engineStatus(error) !== 409) throw error;
        throw new BunkhouseError('CONFLICT', `${name} cannot be removed while it runs: stop it first`, {
          cause: error,
        });
      }
    });
  }

  /** Throws NOT_FOUND. */
  setRestartPolicy(name: string, { name: Name, maximumRetryCount }: RestartPolicy): Promise<void> {
    const RestartPolicy = { Name, MaximumRetryCount: maximumRetryCount };
    return ask(`change the restart policy of ${name}`, async () => {
      if ((await absent(this.#docker.getContainer(name).update({ RestartPolicy }))) === null) throw noContainer(name);
    });
  }

  /** A tar archive of what is at that path, in a running container or not. Throws NOT_FOUND. */
  async *readTree(name: string, path: string): AsyncGenerator<Uint8Array> {
    const doing = `read ${path} from ${name}`;
    const stream = await ask(doing, () => absent(this.#docker.getContainer(name).getArchive({ path })));
    if (stream === null) throw new BunkhouseError('NOT_FOUND', `there is no ${path} in ${name}`);
    try {
      for await (const chunk of stream) yield Buffer.from(chunk);
    } catch (error) {
      throw engineError(error, doing);
    }
  }

  /** Unpacks a tar archive there. Throws NOT_FOUND. */
  writeTree(name: string, path: string, archive: Readable): Promise<void> {
    return ask(`write into ${path} of ${name}`, async () => {
      const put = this.#docker.getContainer(name).putArchive(archive, { path });
      if ((await absent(put)) === null) throw new BunkhouseError('NOT_FOUND', `there is no ${path} in ${name}`);
    });
  }

  /**
   * Makes the network unless it is there. Engines before 28 make two of one name when they are asked from two sides at the same
   * time, and then know neither by that name: the older one stays.
   */
  ensureNetwork(options: NetworkCreateOptions): Promise<void> {
    return ask(`create network ${options.Name}`, () =>
      this.#networks.run(options.Name, async () => {
        const { Name } = options;
        if ((await this.#networksOf(Name)).length === 0) await alreadySo(this.#docker.createNetwork(options), 409);
        const [, ...younger] = await this.#networksOf(Name);
        for (const { Id } of younger) await absent(this.#docker.getNetwork(Id).remove());
      }),
    );
  }

  /** Labels of a volume; null when there is none. */
  async volumeLabels(name: string): Promise<Labels | null> {
    const volume = await ask(`inspect volume ${name}`, () => absent(this.#docker.getVolume(name).inspect()));
    return volume === null ? null : (volume.Labels ?? {});
  }

  removeVolume(name: string): Promise<void> {
    return ask(`remove volume ${name}`, async () => {
      await absent(this.#docker.getVolume(name).remove());
    });
  }

  /** Puts a file of root's, for root alone, into a container, running or not. */
  writeFile(container: string, folder: string, file: { path: string; text: string }): Promise<void> {
    const archive = packTar([{ path: file.path, mode: 0o600, data: Buffer.from(file.text) }]);
    return ask(`write ${file.path} into ${container}`, async () => {
      await this.#docker.getContainer(container).putArchive(archive, { path: folder });
    });
  }

  /** Null when the file or the container is absent. */
  readFile(container: string, path: string): Promise<string | null> {
    return ask(`read ${path} from ${container}`, async () => {
      const stream = await absent(this.#docker.getContainer(container).getArchive({ path }));
      if (stream === null) return null;
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(Buffer.from(chunk));
      return firstFile(Buffer.concat(chunks))?.toString() ?? null;
    });
  }

  /** The last lines of what a container's processes wrote; empty when it is absent. */
  output(name: string): Promise<string> {
    return ask(`tell the output of ${name}`, async () => {
      const frames = await absent(this.#docker.getContainer(name).logs({ stdout: true, stderr: true, tail: 20 }));
      return frames === null ? '' : textOfFrames(frames);
    });
  }

  /** Lines of the event stream of containers with the label, until it breaks or `signal` aborts. */
  async *events(label: string, kinds: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
    const filters = JSON.stringify({ type: ['container'], label: [label], event: kinds });
    const asked: GetEventsOptions & { abortSignal: AbortSignal } = { filters, abortSignal: signal };
    const stream = await ask('tell events', () => this.#docker.getEvents(asked));
    stream.setEncoding('utf8');
    let rest = '';
    for await (const chunk of stream) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  }

  // Private

  /** All networks of a name, the oldest first. */
  async #networksOf(name: string): Promise<NetworkInspectInfo[]> {
    const found = await this.#docker.listNetworks({ filters: JSON.stringify({ name: [name] }) });
    return found
      .filter(({ Name }) => Name === name)
      .sort((a, b) => a.Created.localeCompare(b.Created) || a.Id.localeCompare(b.Id));
  }
}

const noContainer = (name: string): BunkhouseError => new BunkhouseError('NOT_FOUND', `there is no container ${name}`);

async function ask<T>(doing: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw engineError(error, doing);
  }
}

/** Null instead of the engine's "no such thing". */
async function absent<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (engineStatus(error) === 404) return null;
    throw error;
  }
}

/** The engine's "not modified" (or another status that means so) counts as done. */
async function alreadySo(call: Promise<unknown>, status = 304): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (engineStatus(error) !== status) throw error;
  }
}
