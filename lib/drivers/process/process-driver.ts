import type { ContainerObservation, ContainerRecord, ContainerSpec } from '../../domain/container.ts';
import { BunkhouseError } from '../../domain/errors.ts';
import { SupervisordAgent } from '../../supervisord/client.ts';
import { KeyedMutex } from '../../util/keyed-mutex.ts';
import { mapLimited } from '../../util/limit.ts';
import type { Agent, Capabilities, Driver, DriverEvent } from '../driver.ts';
import { assertSame, type Labelled, labelsOf, sameRange } from '../labels.ts';
import { boundPorts } from '../ports.ts';
import { endAll, endGracefully } from './ending.ts';
import { checkSocketPaths, type Layout, layoutOf } from './layout.ts';
import { isSupervisordOf, type Marks, type Members, membersAmong, recordedSupervisord } from './members.ts';
import { LOOPBACK, observationOf, unreadable } from './observation.ts';
import { type ProcessFacts, readProcesses } from './procfs.ts';
import { directoryNames, readRegistration, register, unregister } from './registry.ts';
import { type SupervisordOptions, Supervisords } from './supervisords.ts';
import { Watchers } from './watchers.ts';

export interface ProcessDriverOptions extends SupervisordOptions {
  /** Containers labelled with another installation are left alone. */
  readonly installation: string;
}

/** A container here is a directory and a local supervisord, which outlives this process and is adopted by the next. */
export class ProcessDriver implements Driver {
  readonly name = 'process';
  readonly bindHost = LOOPBACK;
  readonly #options: ProcessDriverOptions;
  readonly #locks = new KeyedMutex();
  readonly #supervisords: Supervisords;
  readonly #watchers: Watchers;

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.#watchers = new Watchers(options.clock, (name, pid) => isSupervisordOf(this.#layout(name), pid));
    this.#supervisords = new Supervisords(options, (name) => this.#watchers.emit({ container: name, what: 'died' }));
  }

  async capabilities(): Promise<Capabilities> {
    const { isolatesUsers, notes } = await this.#supervisords.fit();
    return { driver: this.name, isolatesUsers, images: false, notes };
  }

  async list(): Promise<readonly ContainerObservation[]> {
    const names = await directoryNames(this.#options.dataDir);
    let processes: Promise<readonly ProcessFacts[]> | null = null;
    const look = (): Promise<readonly ProcessFacts[]> => {
      processes ??= readProcesses();
      return processes;
    };
    const found = await mapLimited(names, 8, (name) => this.#observe(name, look));
    return found.filter((observation) => observation !== null);
  }

  /** The ports are tested when the range is new to this container; later a stranger on one port must not keep the other bots down. */
  create({ record }: ContainerSpec): Promise<void> {
    return this.#locks.run(record.name, async () => {
      const layout = this.#layout(record.name);
      checkSocketPaths(layout);
      // Makes the data directory as well, with passage for the bots' users.
      await this.#supervisords.fit();
      const known = await this.#claim(layout, record);
      const marks = this.#marks(layout, { ...record, installation: this.#options.installation });
      if (known !== null && (await this.#supervisord(marks)) !== null) return assertSame(known, record);
      if (known === null || !sameRange(known, record)) await this.#checkPorts(record);
      try {
        await register(layout, labelsOf(record, this.#options.installation));
        await this.#start(marks);
      } catch (error) {
        await endAll(marks, this.#options.clock);
        if (known === null) await unregister(layout);
        throw error;
      }
    });
  }

  start(name: string): Promise<void> {
    return this.#locks.run(name, async () => {
      const marks = await this.#find(name);
      if ((await this.#supervisord(marks)) === null) await this.#start(marks);
    });
  }

  stop(name: string, graceSeconds: number): Promise<void> {
    return this.#locks.run(name, async () => {
      const marks = await this.#find(name);
      const supervisord = await this.#supervisord(marks);
      const adopted = !this.#supervisords.isChild(name);
      if (supervisord !== null) await endGracefully(marks, supervisord, graceSeconds * 1000, this.#options.clock);
      await endAll(marks, this.#options.clock);
      this.#watchers.forget(name);
      if (supervisord !== null && adopted) this.#watchers.emit({ container: name, what: 'died' });
    });
  }

  remove(name: string): Promise<void> {
    return this.#locks.run(name, async () => {
      const layout = this.#layout(name);
      const registration = await readRegistration(layout.directory, name);
      if (registration.kind === 'broken') throw new BunkhouseError('CONFLICT', registration.reason);
      if (registration.kind === 'absent' || !this.#isOurs(registration.labelled)) return;
      const { supervisord, others } = await findMembers(this.#marks(layout, registration.labelled));
      if (supervisord !== null || others.length > 0) {
        throw new BunkhouseError('CONFLICT', `${name} still runs: stop it before it is removed`);
      }
      await unregister(layout);
      this.#watchers.emit({ container: name, what: 'removed' });
    });
  }

  async connect(name: string): Promise<Agent> {
    const marks = await this.#find(name);
    if ((await this.#supervisord(marks)) === null) {
      throw new BunkhouseError('AGENT_UNAVAILABLE', `the supervisord of ${name} does not run: start the container`);
    }
    return new SupervisordAgent({ kind: 'unix', path: marks.layout.socket });
  }

  /** Ports inside the ranges of our running containers are the pool's own and never reported. */
  async portsInUse(basePort: number, count: number): Promise<readonly number[]> {
    const bound = await boundPorts(basePort, count);
    if (bound.length === 0) return bound;
    const running = (await this.list()).filter((container) => container.status === 'running');
    return bound.filter((port) => !running.some((own) => port >= own.basePort && port < own.basePort + own.capacity));
  }

  watch(onEvent: (event: DriverEvent) => void, signal: AbortSignal): void {
    this.#watchers.add(onEvent, signal);
  }

  /** Containers go on running. */
  async close(): Promise<void> {
    this.#watchers.close();
  }

  // Private

  #layout(name: string): Layout {
    return layoutOf(this.#options.dataDir, name);
  }

  #marks(layout: Layout, labelled: Labelled): Marks {
    return { layout, labelled, uidBase: process.getuid?.() === 0 ? this.#options.uidBase : null };
  }

  #isOurs(labelled: Labelled): boolean {
    return labelled.installation === this.#options.installation;
  }

  /** Throws NOT_FOUND, or CONFLICT when there is something that cannot be read. */
  async #find(name: string): Promise<Marks> {
    const layout = this.#layout(name);
    const registration = await readRegistration(layout.directory, name);
    if (registration.kind === 'broken') throw new BunkhouseError('CONFLICT', registration.reason);
    if (registration.kind === 'absent' || !this.#isOurs(registration.labelled)) {
      throw new BunkhouseError('NOT_FOUND', `there is no container ${name}`);
    }
    return this.#marks(layout, registration.labelled);
  }

  /** What is known of a container of ours with that name, null when there is none. Throws CONFLICT when the name is another's. */
  async #claim(layout: Layout, record: ContainerRecord): Promise<Labelled | null> {
    const registration = await readRegistration(layout.directory, record.name);
    if (registration.kind === 'absent') return null;
    if (registration.kind === 'broken') throw new BunkhouseError('CONFLICT', registration.reason);
    if (this.#isOurs(registration.labelled)) return registration.labelled;
    throw new BunkhouseError(
      'CONFLICT',
      `${layout.directory} belongs to another installation of Bunkhouse: use a DATA_DIR of your own`,
    );
  }

  /** With the lock held and no supervisord alive. */
  async #start(marks: Marks): Promise<void> {
    const { name } = marks.labelled;
    this.#watchers.forget(name);
    await this.#supervisords.start(marks);
    this.#watchers.emit({ container: name, what: 'started' });
  }

  async #supervisord(marks: Marks): Promise<number | null> {
    return (await recordedSupervisord(marks.layout)) ?? (await findMembers(marks)).supervisord;
  }

  async #observe(name: string, look: () => Promise<readonly ProcessFacts[]>): Promise<ContainerObservation | null> {
    const layout = this.#layout(name);
    const registration = await readRegistration(layout.directory, name);
    if (registration.kind === 'absent') return null;
    if (registration.kind === 'broken') return unreadable(name, registration.reason);
    const { labelled } = registration;
    if (!this.#isOurs(labelled)) return null;
    const marks = this.#marks(layout, labelled);
    const recorded = await recordedSupervisord(layout);
    const members = recorded === null ? await membersAmong(await look(), marks) : { supervisord: recorded, others: [] };
    if (members.supervisord !== null && !this.#supervisords.isChild(name))
      this.#watchers.adopt(name, members.supervisord);
    if (members.supervisord === null && members.others.length > 0) this.#bury(marks);
    return observationOf(labelled, members);
  }

  /** Bots must not live without their supervisord: nobody would know of them. Whoever watches is told when they are gone. */
  #bury(marks: Marks): void {
    const { name } = marks.labelled;
    const work = this.#locks.run(name, async () => {
      if ((await this.#supervisord(marks)) !== null) return;
      await endAll(marks, this.#options.clock);
      this.#watchers.emit({ container: name, what: 'died' });
    });
    // What would not die is still in the next listing, which tries again.
    work.catch(() => {});
  }

  async #checkPorts(record: ContainerRecord): Promise<void> {
    const taken = await boundPorts(record.basePort, record.capacity);
    if (taken.length === 0) return;
    throw new BunkhouseError(
      'PORT_IN_USE',
      `${record.name} cannot have ports ${record.basePort} to ${record.basePort + record.capacity - 1}: ${taken.join(', ')} in use by another program`,
      { details: { ports: taken } },
    );
  }
}

async function findMembers(marks: Marks): Promise<Members> {
  return membersAmong(await readProcesses(), marks);
}
