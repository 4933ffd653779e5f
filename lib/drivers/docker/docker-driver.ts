import { randomBytes } from 'node:crypto';
import type { ContainerInspectInfo } from 'dockerode';
import { type ContainerObservation, type ContainerRecord, type ContainerSpec, LABEL } from '../../domain/container.ts';
import { BunkhouseError } from '../../domain/errors.ts';
import { SupervisordAgent } from '../../supervisord/client.ts';
import type { Clock } from '../../util/clock.ts';
import { withDeadline } from '../../util/deadline.ts';
import { KeyedMutex } from '../../util/keyed-mutex.ts';
import type { Logger } from '../../util/logger.ts';
import type { Agent, Capabilities, Driver, DriverEvent } from '../driver.ts';
import { type Labels, readLabels } from '../labels.ts';
import { boundPorts } from '../ports.ts';
import { untilAnswering } from './answering.ts';
import { capabilitiesOf, writableCgroups } from './capabilities.ts';
import type { Housing } from './cgroups/confine.ts';
import { withCgroups } from './cgroups/confiner.ts';
import { Outside } from './cgroups/outside.ts';
import { Engine } from './engine.ts';
import { EVENTS, observationOf } from './observation.ts';
import * as spec from './spec.ts';
import { watchEvents } from './watch.ts';

export interface DockerDriverOptions {
  /** Only containers, volumes and networks labelled with this installation are ever touched. */
  readonly installation: string;
  /** `unix:///path` or `tcp://127.0.0.1:port`, as in the environment variable DOCKER_HOST. */
  readonly dockerHost: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the supervisord of a new container may take to answer. */
  readonly startMs?: number;
}

const START_MS = 30_000;
const HOUSING_MS = 10_000;

/**
 * Containers of a Docker engine on this machine. A container's password is nowhere but in its own supervisord.conf
 * (root, 0600): it is read back from there at each connect, so nothing about it can be lost or go stale outside.
 */
export class DockerDriver implements Driver {
  readonly name = 'docker';
  readonly bindHost = '0.0.0.0';
  readonly #options: DockerDriverOptions;
  readonly #engine: Engine;
  readonly #locks = new KeyedMutex();
  readonly #closing = new AbortController();
  readonly #outside: Outside;

  /** Throws DRIVER_UNAVAILABLE when `dockerHost` cannot be used. */
  constructor(options: DockerDriverOptions) {
    this.#options = options;
    this.#engine = new Engine(options.dockerHost);
    const kernel = async (): Promise<string> => (await this.#engine.facts()).kernel;
    this.#outside = new Outside({ kernel, uidOf: spec.slotUid, log: options.log });
  }

  async capabilities(): Promise<Capabilities> {
    return capabilitiesOf(await this.#engine.facts(), await this.#outside.trees());
  }

  async list(): Promise<readonly ContainerObservation[]> {
    return (await this.#engine.list(this.#ownLabel)).map(observationOf);
  }

  /** One that does not run is built anew around its data: an earlier call may have left it half made, or made it of other stuff. */
  create(wanted: ContainerSpec): Promise<void> {
    const { record } = wanted;
    return this.#locks.run(record.name, async () => {
      const existing = await this.#engine.inspect(record.name);
      if (existing !== null) this.#assertOwn('container', record.name, existing.Config.Labels);
      if (existing !== null && isAlive(existing)) return assertSame(existing, record);
      await this.#build(wanted);
    });
  }

  start(name: string): Promise<void> {
    return this.#locks.run(name, async () => {
      if (isAlive(await this.#find(name))) return;
      await this.#engine.start(name);
      await this.#untilAnswering(name);
    });
  }

  stop(name: string, graceSeconds: number): Promise<void> {
    return this.#locks.run(name, async () => {
      await this.#find(name);
      await this.#engine.stop(name, graceSeconds);
      const after = await this.#engine.inspect(name);
      if (after === null || !isAlive(after)) return;
      throw new BunkhouseError('DEADLINE', `${name} still runs after the engine was told to stop it`);
    });
  }

  remove(name: string): Promise<void> {
    return this.#locks.run(name, async () => {
      const existing = await this.#engine.inspect(name);
      if (existing !== null) this.#assertOwn('container', name, existing.Config.Labels);
      if (existing !== null && isAlive(existing)) {
        throw new BunkhouseError('CONFLICT', `${name} still runs: stop it before it is removed`);
      }
      await this.#engine.remove(name);
      if (await this.#hasVolume(name)) await this.#engine.removeVolume(spec.volumeName(name));
    });
  }

  async connect(name: string): Promise<Agent> {
    const port = agentHostPort(await this.#find(name));
    if (port === null) {
      throw new BunkhouseError('AGENT_UNAVAILABLE', `${name} does not run: start the container`);
    }
    const password = spec.passwordOf((await this.#engine.readFile(name, spec.CONFIG_PATH)) ?? '');
    if (password === null) {
      throw new BunkhouseError(
        'AGENT_UNAVAILABLE',
        `${spec.CONFIG_PATH} in ${name} is missing or damaged: run docker rm --force ${name}, and it is built anew around its data`,
      );
    }
    const endpoint = { kind: 'http', host: spec.LOOPBACK, port, username: spec.USERNAME, password } as const;
    const confiner = this.#outside.confiner(name, () => this.#housing(name));
    return withCgroups(new SupervisordAgent(endpoint), confiner);
  }

  /** Ports inside the ranges of our running containers are the pool's own and never reported. */
  async portsInUse(basePort: number, count: number): Promise<readonly number[]> {
    const bound = await boundPorts(basePort, count);
    if (bound.length === 0) return bound;
    const running = (await this.list()).filter((container) => container.status === 'running');
    return bound.filter((port) => !running.some((own) => port >= own.basePort && port < own.basePort + own.capacity));
  }

  watch(onEvent: (event: DriverEvent) => void, signal: AbortSignal): void {
    const { clock } = this.#options;
    const open = (until: AbortSignal): AsyncIterable<string> =>
      this.#engine.events(this.#ownLabel, Object.keys(EVENTS), until);
    void watchEvents({ clock, open }, onEvent, AbortSignal.any([signal, this.#closing.signal]));
  }

  /** Containers go on running. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  // Private

  get #ownLabel(): string {
    return `${LABEL.instance}=${this.#options.installation}`;
  }

  /** With the lock held and no such container alive. */
  async #build(wanted: ContainerSpec): Promise<void> {
    const { installation } = this.#options;
    const facts = await this.#engine.facts();
    const options = spec.containerOptions(wanted, { installation, writableCgroups: writableCgroups(facts) });
    await this.#engine.mustHaveImage(options.Image);
    const keepVolume = await this.#hasVolume(options.name);
    await this.#engine.remove(options.name);
    await this.#engine.ensureNetwork(spec.networkOptions(installation));
    try {
      await this.#engine.create(options);
      await this.#putConfig(wanted.record);
      await this.#engine.start(options.name);
      await this.#untilAnswering(options.name);
    } catch (error) {
      await this.#undo(options.name, keepVolume);
      throw error;
    }
  }

  /** The password reaches the container this way alone: environment, labels and arguments show in `docker inspect`. */
  async #putConfig(record: ContainerRecord): Promise<void> {
    const text = spec.supervisordConfig(record, randomBytes(24).toString('base64url'));
    await this.#engine.writeFile(record.name, spec.DATA_DIRECTORY, { path: spec.CONFIG_FILE, text });
  }

  /** Why the building failed is the error to tell; what stays in spite of this is in the next listing. */
  async #undo(name: string, keepVolume: boolean): Promise<void> {
    try {
      const left = await this.#engine.inspect(name);
      if (left !== null && this.#isOwn(name, left.Config.Labels)) await this.#engine.remove(name, { force: true });
      if (!keepVolume && (await this.#hasVolume(name))) await this.#engine.removeVolume(spec.volumeName(name));
    } catch {}
  }

  /** With a deadline: a question that hangs would keep this container's bots out of their cgroups for good. */
  async #housing(name: string): Promise<Housing | null> {
    const { Id, State } = await withDeadline(this.#options.clock, HOUSING_MS, `inspect of ${name}`, this.#find(name));
    return State.Running ? { id: Id, pid: State.Pid } : null;
  }

  #untilAnswering(name: string): Promise<void> {
    const { clock, startMs = START_MS } = this.#options;
    const sources = { connect: () => this.connect(name), output: () => this.#engine.output(name) };
    return untilAnswering(name, sources, { clock, ms: startMs });
  }

  /** Throws NOT_FOUND unless there is such a container of this installation. */
  async #find(name: string): Promise<ContainerInspectInfo> {
    const info = await this.#engine.inspect(name);
    if (info !== null && this.#isOwn(name, info.Config.Labels)) return info;
    throw new BunkhouseError('NOT_FOUND', `there is no container ${name}`);
  }

  async #hasVolume(container: string): Promise<boolean> {
    const labels = await this.#engine.volumeLabels(spec.volumeName(container));
    if (labels !== null) this.#assertOwn('volume', container, labels);
    return labels !== null;
  }

  #assertOwn(kind: 'container' | 'volume', container: string, labels: Labels): void {
    if (this.#isOwn(container, labels)) return;
    const name = kind === 'volume' ? spec.volumeName(container) : container;
    throw new BunkhouseError('CONFLICT', `the ${kind} ${name} is not of this installation: rename or remove it`);
  }

  #isOwn(container: string, labels: Labels): boolean {
    return labels[LABEL.instance] === this.#options.installation && labels[LABEL.container] === container;
  }
}

const isAlive = ({ State }: ContainerInspectInfo): boolean => State.Running || State.Paused || State.Restarting;

/** A running container cannot change its range or pool. */
function assertSame(existing: ContainerInspectInfo, record: ContainerRecord): void {
  const known = readLabels(existing.Config.Labels);
  if (typeof known === 'string') throw new BunkhouseError('CONFLICT', `${record.name} runs already, but ${known}`);
  if (known.pool === record.pool && known.basePort === record.basePort && known.capacity === record.capacity) return;
  throw new BunkhouseError(
    'CONFLICT',
    `${record.name} runs already, for pool ${known.pool} with ${known.capacity} ports from ${known.basePort}: stop it first`,
  );
}

/** Port of the host at which supervisord is reached; null while the container does not run. */
function agentHostPort(info: ContainerInspectInfo): number | null {
  const known = readLabels(info.Config.Labels);
  if (typeof known === 'string' || !info.State.Running) return null;
  const bindings = info.NetworkSettings.Ports[spec.agentPortKey(known)];
  return Number(bindings?.[0]?.HostPort ?? 0) || null;
}
