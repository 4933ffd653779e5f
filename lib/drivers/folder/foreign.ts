import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import type { DeploymentRef } from '../../domain/migration.ts';
import { treeBytes } from '../../util/tree-bytes.ts';
import type { Deployment, Deployments, ForeignHost } from '../foreign-host.ts';
import { boundPorts } from '../ports.ts';
import { type ComposeService, parseCompose } from './compose.ts';
import { usersOf } from './open-files.ts';
import { readTree, writeTree } from './tree.ts';

const COMPOSE_FILES = ['docker-compose.yml', 'docker-compose.yaml', 'compose.yml', 'compose.yaml'];

/**
 * Deployments of which only the files are left, in folders OWNER/ID/ with a Compose file. They are dead when no process of this
 * machine has any of the files open, and nothing of them can be started or stopped.
 */
export class FolderForeignHost implements ForeignHost {
  async list(from: string | null): Promise<Deployments> {
    if (from === null) return { found: [], trouble: [] };
    const base = await realpath(from).catch((error: NodeJS.ErrnoException) => {
      throw new BunkhouseError('INVALID', `the folder ${from} cannot be read (${error.code})`);
    });
    const found: Deployment[] = [];
    const trouble: string[] = [];
    for (const owner of await foldersIn(base)) {
      for (const path of await foldersIn(owner)) {
        try {
          const deployment = await this.inspect({ kind: 'folder', path });
          if (deployment !== null) found.push(deployment);
        } catch (error) {
          trouble.push(messageOf(error));
        }
      }
    }
    return { found, trouble };
  }

  async inspect(ref: DeploymentRef): Promise<Deployment | null> {
    const path = pathOf(ref);
    const compose = await composeIn(path);
    return compose === null ? null : { ...toldOf(compose), ref: { kind: 'folder', path }, ...(await lifeOf(path)) };
  }

  async setRestartPolicy(): Promise<void> {}

  async stop(ref: DeploymentRef): Promise<void> {
    const { state, note } = await this.#find(ref);
    if (state === 'stopped') return;
    throw new BunkhouseError('UNSUPPORTED', `${pathOf(ref)} is in use and has no container to stop: ${note}`);
  }

  async start(ref: DeploymentRef): Promise<void> {
    throw new BunkhouseError('UNSUPPORTED', `${pathOf(ref)} has no container: start it as it was started before`);
  }

  /** There is nothing but the files, which stay. */
  async remove(): Promise<void> {}

  async sizeOf(ref: DeploymentRef, path: string): Promise<number | null> {
    return treeBytes(hostPath(await this.#find(ref), path));
  }

  async *readTree(ref: DeploymentRef, path: string): AsyncGenerator<Uint8Array> {
    yield* readTree(hostPath(await this.#find(ref), path));
  }

  async writeTree(ref: DeploymentRef, folder: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
    const found = await this.#find(ref);
    if (found.state !== 'stopped') throw new BunkhouseError('CONFLICT', `${pathOf(ref)} is in use: ${found.note}`);
    await writeTree(hostPath(found, folder), archive);
  }

  async boundPorts(ports: readonly number[]): Promise<readonly number[]> {
    return (await Promise.all(ports.map((port) => boundPorts(port, 1)))).flat();
  }

  // Private

  async #find(ref: DeploymentRef): Promise<Deployment> {
    const found = await this.inspect(ref);
    if (found !== null) return found;
    throw new BunkhouseError('NOT_FOUND', `${pathOf(ref)} has no Compose file any more`);
  }
}

// Private

function pathOf(ref: DeploymentRef): string {
  if (ref.kind === 'folder') return ref.path;
  throw new BunkhouseError('UNSUPPORTED', `${ref.name} is a container, not a folder`);
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
}

async function composeIn(path: string): Promise<ComposeService | null> {
  for (const name of COMPOSE_FILES) {
    const file = join(path, name);
    if (
      !(await stat(file).then(
        (found) => found.isFile() && found.size < 1 << 20,
        () => false,
      ))
    )
      continue;
    try {
      return parseCompose(await readFile(file, 'utf8'), path);
    } catch (error) {
      throw new BunkhouseError('INVALID', `${file} cannot be understood: ${messageOf(error)}`);
    }
  }
  return null;
}

function toldOf({
  name,
  image,
  command,
  env,
  ports,
  mounts,
}: ComposeService): Omit<Deployment, 'ref' | 'state' | 'note'> {
  return { name, image, command, env, workdir: '/', restartPolicy: null, ports, mounts, startedAt: null, labels: {} };
}

async function lifeOf(path: string): Promise<Pick<Deployment, 'state' | 'note'>> {
  const users = await usersOf(path);
  if (users === null)
    return { state: 'unknown', note: 'only root can tell that no process has its files open: run Bunkhouse as root' };
  if (users.length === 0) return { state: 'stopped', note: '' };
  return { state: 'running', note: `processes ${users.join(', ')} have files of it open` };
}

/** Root reads and writes there, and of what lies outside nobody can tell whether it is in use. */
function within(folder: string, path: string): string {
  if (path === folder || path.startsWith(`${folder}/`)) return path;
  throw new BunkhouseError('INVALID', `${path} lies outside of ${folder}: move it into it, and mount it from there`);
}

/** Where a path of the container is on this machine. What was never mounted is not there any more. */
function hostPath({ mounts, ref }: Deployment, path: string): string {
  const mount = mounts
    .filter(({ kind, target }) => kind === 'bind' && (path === target || path.startsWith(`${target}/`)))
    .sort((a, b) => b.target.length - a.target.length)[0];
  if (mount !== undefined) return within(pathOf(ref), join(mount.source, path.slice(mount.target.length)));
  throw new BunkhouseError('NOT_FOUND', `${path} is not mounted in ${pathOf(ref)}`);
}
