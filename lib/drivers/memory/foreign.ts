import { posix } from 'node:path';
import { BunkhouseError } from '../../domain/errors.ts';
import type { DeploymentRef, RestartPolicy } from '../../domain/migration.ts';
import { isoTime } from '../../util/clock.ts';
import { innerPath, readTar, tarOf } from '../../util/tree.ts';
import type { Deployment, Deployments, ForeignHost } from '../foreign-host.ts';
import type { ForeignMethod } from './faults.ts';
import type { ForeignBox, ForeignFile } from './foreign-box.ts';
import type { MemoryWorld } from './world.ts';

/** The foreign containers of a make-believe machine. Its public fields are the knobs of tests. */
export class MemoryForeignHost implements ForeignHost {
  readonly #world: MemoryWorld;

  constructor(world: MemoryWorld) {
    this.#world = world;
  }

  list(): Promise<Deployments> {
    return this.#run('list', '', () => ({ found: [...this.#world.foreign.values()].map(toldOf), trouble: [] }));
  }

  inspect(ref: DeploymentRef): Promise<Deployment | null> {
    return this.#run('inspect', nameOf(ref), () => {
      const box = this.#world.foreign.get(idOf(ref));
      return box === undefined ? null : toldOf(box);
    });
  }

  setRestartPolicy(ref: DeploymentRef, policy: RestartPolicy): Promise<void> {
    return this.#run('setRestartPolicy', nameOf(ref), () => {
      this.#find(ref).restartPolicy = policy;
    });
  }

  stop(ref: DeploymentRef, _graceSeconds: number): Promise<void> {
    return this.#run('stop', nameOf(ref), () => {
      const box = this.#find(ref);
      if (box.unreadable) throw new BunkhouseError('DEADLINE', `${box.name} still runs after it was told to stop`);
      box.alive = false;
      box.startedAt = null;
    });
  }

  start(ref: DeploymentRef): Promise<void> {
    return this.#run('start', nameOf(ref), () => {
      const box = this.#find(ref);
      const taken = box.told.ports.find(({ hostPort }) => this.#world.foreignPorts.has(hostPort));
      if (taken !== undefined && !box.alive)
        throw new BunkhouseError('PORT_IN_USE', `port ${taken.hostPort} is taken`, {
          details: { port: taken.hostPort },
        });
      if (!box.alive) this.#world.startForeign(box);
    });
  }

  remove(ref: DeploymentRef): Promise<void> {
    return this.#run('remove', nameOf(ref), () => {
      const box = this.#world.foreign.get(idOf(ref));
      if (box === undefined) return;
      if (box.alive) throw new BunkhouseError('CONFLICT', `${box.name} runs: stop it before it is removed`);
      this.#world.foreign.delete(box.id);
    });
  }

  sizeOf(ref: DeploymentRef, path: string): Promise<number | null> {
    return this.#run('sizeOf', nameOf(ref), () => {
      const found = [...this.#find(ref).files].filter(([name]) => name === path || name.startsWith(`${path}/`));
      return found.reduce((sum, [, { data }]) => sum + data.length, 0);
    });
  }

  async *readTree(ref: DeploymentRef, path: string): AsyncGenerator<Uint8Array> {
    const found = await this.#run('readTree', nameOf(ref), () => {
      const { files } = this.#find(ref);
      return [...files].filter(([name]) => name === path || name.startsWith(`${path}/`));
    });
    if (found.length === 0) throw new BunkhouseError('NOT_FOUND', `there is no ${path} in ${nameOf(ref)}`);
    const above = posix.dirname(path);
    yield* tarOf(async (writer) => {
      for (const [name, { data, mode, uid }] of found)
        await writer.add({ name: posix.relative(above, name), size: data.length, mode, uid, gid: uid }, once(data));
    });
  }

  async writeTree(ref: DeploymentRef, folder: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
    const files = new Map<string, ForeignFile>();
    for await (const { header, content } of readTar(archive)) {
      const path = innerPath(header.name);
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk);
      if (path === null || header.type !== 'file') throw new BunkhouseError('INVALID', `${header.name} is refused`);
      files.set(posix.join(folder, path), { data: Buffer.concat(chunks), mode: header.mode, uid: header.uid });
    }
    return this.#run('writeTree', nameOf(ref), () => {
      const box = this.#find(ref);
      if (box.alive) throw new BunkhouseError('CONFLICT', `${box.name} runs: nothing is written into it`);
      for (const [path, file] of files) box.files.set(path, file);
    });
  }

  boundPorts(ports: readonly number[]): Promise<readonly number[]> {
    return this.#run('boundPorts', '', () => {
      const held = [...this.#world.foreign.values()].flatMap(({ alive, told }) =>
        alive ? told.ports.map(({ hostPort }) => hostPort) : [],
      );
      return ports.filter((port) => this.#world.foreignPorts.has(port) || held.includes(port));
    });
  }

  // Private

  #run<T>(method: keyof ForeignHost, target: string, work: () => T): Promise<T> {
    return this.#world.faults.run(`foreign.${method}` satisfies ForeignMethod, target, work);
  }

  #find(ref: DeploymentRef): ForeignBox {
    const box = this.#world.foreign.get(idOf(ref));
    if (box !== undefined) return box;
    throw new BunkhouseError('NOT_FOUND', `the container ${nameOf(ref)} is gone`);
  }
}

// Private

const nameOf = (ref: DeploymentRef): string => (ref.kind === 'container' ? ref.name : ref.path);
const idOf = (ref: DeploymentRef): string => (ref.kind === 'container' ? ref.id : ref.path);

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}

function toldOf({ id, name, told, restartPolicy, alive, unreadable, startedAt }: ForeignBox): Deployment {
  return {
    ...told,
    ref: { kind: 'container', name, id },
    name,
    state: unreadable ? 'unknown' : alive ? 'running' : 'stopped',
    note: unreadable ? 'the engine cannot tell' : '',
    restartPolicy,
    startedAt: startedAt === null ? null : isoTime(startedAt),
  };
}
