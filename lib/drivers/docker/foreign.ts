import { Readable } from 'node:stream';
import type { ContainerInspectInfo } from 'dockerode';
import { LABEL } from '../../domain/container.ts';
import { BunkhouseError } from '../../domain/errors.ts';
import type { DeploymentRef, RestartPolicy } from '../../domain/migration.ts';
import { mapLimited } from '../../util/limit.ts';
import { treeBytes } from '../../util/tree-bytes.ts';
import type { Deployment, Deployments, ForeignHost } from '../foreign-host.ts';
import { boundPorts } from '../ports.ts';
import { Engine } from './engine.ts';

const INSPECTS_AT_ONCE = 8;

/** Containers of a Docker engine on this machine that no Bunkhouse has made. */
export class DockerForeignHost implements ForeignHost {
  readonly #engine: Engine;

  /** Throws DRIVER_UNAVAILABLE when `dockerHost` cannot be used. */
  constructor(dockerHost: string) {
    this.#engine = new Engine(dockerHost);
  }

  async list(): Promise<Deployments> {
    const infos = await mapLimited(await this.#engine.ids(), INSPECTS_AT_ONCE, (id) => this.#engine.inspect(id));
    const found = infos.filter((info) => info !== null).filter((info) => !isOurs(info));
    return { found: found.map(deploymentOf), trouble: [] };
  }

  async inspect(ref: DeploymentRef): Promise<Deployment | null> {
    const info = await this.#engine.inspect(idOf(ref));
    return info === null ? null : deploymentOf(info);
  }

  async setRestartPolicy(ref: DeploymentRef, policy: RestartPolicy): Promise<void> {
    await this.#find(ref);
    await this.#engine.setRestartPolicy(idOf(ref), policy);
  }

  async stop(ref: DeploymentRef, graceSeconds: number): Promise<void> {
    await this.#find(ref);
    await this.#engine.stop(idOf(ref), graceSeconds);
    if ((await this.#find(ref)).state === 'stopped') return;
    throw new BunkhouseError('DEADLINE', `${ref.kind} still runs after the engine was told to stop it`);
  }

  async start(ref: DeploymentRef): Promise<void> {
    await this.#find(ref);
    await this.#engine.start(idOf(ref));
  }

  async remove(ref: DeploymentRef): Promise<void> {
    if ((await this.inspect(ref)) !== null) await this.#engine.remove(idOf(ref));
  }

  async sizeOf(ref: DeploymentRef, path: string): Promise<number | null> {
    const { mounts } = await this.#find(ref);
    const mount = mounts.find(({ kind, target }) => kind === 'bind' && target === path);
    return mount === undefined ? null : treeBytes(mount.source);
  }

  readTree(ref: DeploymentRef, path: string): AsyncIterable<Uint8Array> {
    return this.#engine.readTree(idOf(ref), path);
  }

  async writeTree(ref: DeploymentRef, folder: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
    if ((await this.#find(ref)).state !== 'stopped') throw stillRuns(ref);
    await this.#engine.writeTree(idOf(ref), folder, Readable.from(archive, { objectMode: false }));
  }

  async boundPorts(ports: readonly number[]): Promise<readonly number[]> {
    const bound = await mapLimited(ports, INSPECTS_AT_ONCE, (port) => boundPorts(port, 1));
    return bound.flat();
  }

  // Private

  async #find(ref: DeploymentRef): Promise<Deployment> {
    const found = await this.inspect(ref);
    if (found !== null) return found;
    throw new BunkhouseError('NOT_FOUND', `the container ${nameOf(ref)} is gone`);
  }
}

// Private

const isOurs = ({ Config }: ContainerInspectInfo): boolean => Config.Labels?.[LABEL.instance] !== undefined;

const nameOf = (ref: DeploymentRef): string => (ref.kind === 'container' ? ref.name : ref.path);

function idOf(ref: DeploymentRef): string {
  if (ref.kind === 'container') return ref.id;
  throw new BunkhouseError('UNSUPPORTED', `${ref.path} is a folder, not a container`);
}

function stillRuns(ref: DeploymentRef): BunkhouseError {
  return new BunkhouseError('CONFLICT', `${nameOf(ref)} runs: nothing is written into it`);
}

function deploymentOf(info: ContainerInspectInfo): Deployment {
  const { Id, Name, Path, Args, State, Config, HostConfig, Mounts } = info;
  const name = Name.replace(/^\//, '');
  return {
    ref: { kind: 'container', name, id: Id },
    name,
    image: Config.Image,
    command: [Path, ...Args],
    env: Object.fromEntries((Config.Env ?? []).map(variableOf)),
    workdir: Config.WorkingDir || '/',
    ...lifeOf(State),
    restartPolicy: policyOf(HostConfig.RestartPolicy),
    ports: Object.entries((HostConfig.PortBindings ?? {}) as Bindings).flatMap(publishedOf),
    mounts: Mounts.map(({ Type, Name: volume, Source, Destination, RW }) => ({
      kind: Type === 'bind' || Type === 'volume' ? Type : 'other',
      source: (Type === 'volume' ? volume : Source) ?? '',
      target: Destination,
      readOnly: !RW,
    })),
    startedAt: State.Running ? State.StartedAt : null,
    labels: Config.Labels ?? {},
  };
}

type Bindings = Readonly<Record<string, readonly { readonly HostIp?: string; readonly HostPort?: string }[] | null>>;

function publishedOf([inside, bindings]: [string, Bindings[string]]): Deployment['ports'] {
  return (bindings ?? []).map(({ HostIp = '', HostPort = '' }) => ({
    host: HostIp === '0.0.0.0' ? '' : HostIp,
    hostPort: Number(HostPort) || 0,
    containerPort: Number.parseInt(inside, 10),
  }));
}

/** Dead is what the engine calls created or exited and has no process of. All else is not proven. */
function lifeOf(state: ContainerInspectInfo['State']): Pick<Deployment, 'state' | 'note'> {
  const { Status, Running, Paused, Restarting, Pid } = state;
  if (Paused) return { state: 'running', note: 'it is paused' };
  if (Restarting) return { state: 'running', note: `it ends and is started again, last with code ${state.ExitCode}` };
  if (Running) return { state: 'running', note: '' };
  const isDead = (Status === 'created' || Status === 'exited') && Pid === 0;
  return isDead
    ? { state: 'stopped', note: state.Error ?? '' }
    : { state: 'unknown', note: `the engine says ${Status}` };
}

function policyOf(policy: ContainerInspectInfo['HostConfig']['RestartPolicy']): RestartPolicy {
  const names: readonly RestartPolicy['name'][] = ['no', 'always', 'unless-stopped', 'on-failure'];
  const name = names.find((known) => known === policy?.Name) ?? 'no';
  return { name, maximumRetryCount: policy?.MaximumRetryCount ?? 0 };
}

function variableOf(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
