import type { BotSpec, ServiceObservation, ServiceSpec } from '../../domain/agent.ts';
import { BunkhouseError } from '../../domain/errors.ts';
import type { ExecStep } from '../../domain/template.ts';
import { MemoryBot, type Surroundings } from './bot.ts';

/** A make-believe service is kept like a bot: that has no slot, and whose generation grows with each changed definition. */
interface Kept {
  readonly process: MemoryBot;
  readonly definition: ServiceSpec;
  /** Generation of the bot that brought it. */
  readonly newest: number;
}

export type Rooms = 'provision' | 'deprovision' | 'archive';

/** Shared services of one life of a container, with the rules of the plugin. */
export class MemoryServices {
  readonly #around: Surroundings;
  readonly #bots: () => readonly MemoryBot[];
  readonly #kept = new Map<string, Kept>();
  #settling = false;

  constructor(around: Surroundings, bots: () => readonly MemoryBot[]) {
    this.#around = around;
    this.#bots = bots;
  }

  /** A bot comes with these. */
  want({ services, generation }: BotSpec): void {
    for (const { service } of services) this.#want(service, generation);
  }

  missing({ services }: BotSpec): string {
    for (const { service } of services) {
      const seen = this.#kept.get(service.name)?.process.observe();
      if (seen?.state !== 'running') return `service ${service.name}${seen?.reason ? ` (${seen.reason})` : ''}`;
    }
    return '';
  }

  /** Throws SERVICE_FAILED: there are no programs to run, but `false` fails, and all of a bot for whom there is to be no room. */
  take(kind: Rooms, spec: BotSpec, roomable: boolean): void {
    const steps = spec.services.flatMap((use) => use[kind]);
    const missing = steps.length === 0 ? '' : this.missing(spec);
    const trouble = missing === '' ? failing(kind, steps, roomable) : `${spec.bot} waits for ${missing}`;
    if (trouble !== '') throw new BunkhouseError('SERVICE_FAILED', trouble);
  }

  observe(): ServiceObservation[] {
    return [...this.#kept].map(([name, { process }]) => observe(name, process));
  }

  process(name: string): MemoryBot | undefined {
    return this.#kept.get(name)?.process;
  }

  /** Something changed, here or with a bot. */
  changed(): void {
    if (this.#settling) return;
    this.#settling = true;
    queueMicrotask(() => {
      this.#settling = false;
      this.#settle();
    });
  }

  vanish(): void {
    for (const { process } of this.#kept.values()) process.vanish();
    this.#kept.clear();
  }

  // Private

  #want(definition: ServiceSpec, newest: number): void {
    const { name } = definition;
    const known = this.#kept.get(name);
    if (known === undefined) {
      const spec = asBot(definition);
      const process = new MemoryBot(spec, this.#around);
      this.#kept.set(name, { process, definition, newest });
      process.accept(spec);
      return;
    }
    const { process } = known;
    if (newest < known.newest && process.spec.run) return;
    this.#kept.set(name, { process, definition, newest });
    const same = JSON.stringify(definition) === JSON.stringify(known.definition);
    if (same && process.spec.run) return;
    const { generation, restartGeneration } = process.spec;
    process.accept({ ...asBot(definition), generation: generation + (same ? 0 : 1), restartGeneration });
    this.#settle();
  }

  /** Bots go on that waited; what is outdated or not wanted ends, unless a bot lives that may use it. */
  #settle(): void {
    const bots = this.#bots();
    for (const bot of bots) bot.retry();
    if (bots.some((bot) => bot.alive)) return;
    const wanted = new Set(bots.flatMap(({ spec }) => spec.services.map(({ service }) => service.name)));
    for (const [name, { process }] of this.#kept) {
      if (wanted.has(name)) restartIfOutdated(process);
      else if (process.stopped) this.#kept.delete(name);
      else if (process.spec.run) process.accept({ ...process.spec, run: false });
    }
  }
}

/** The name under which a service is told of; no bot has one like it. */
export const processName = (service: string): string => `service ${service}`;

function restartIfOutdated(process: MemoryBot): void {
  const { generation, restartGeneration } = process.spec;
  if (isOutdated(process) && restartGeneration < generation) {
    process.accept({ ...process.spec, restartGeneration: generation });
  }
}

function isOutdated(process: MemoryBot): boolean {
  const { startedGeneration } = process.observe();
  return startedGeneration !== null && startedGeneration < process.spec.generation;
}

function failing(kind: Rooms, steps: readonly ExecStep[], roomable: boolean): string {
  const failed = steps.find(({ command }) => !roomable || command[0] === 'false');
  return failed === undefined ? '' : `${kind} (${failed.command[0]}) failed on purpose`;
}

function asBot({ name, readiness, ...rest }: ServiceSpec): BotSpec {
  const { startupSeconds, watchdogSeconds } = readiness;
  return {
    ...rest,
    bot: processName(name),
    generation: 1,
    restartGeneration: 0,
    slot: 0,
    port: 0,
    host: '',
    run: true,
    directories: [],
    readiness: { kind: 'process', startupSeconds, watchdogSeconds },
    prefork: null,
    services: [],
    secrets: [],
    marks: {},
  };
}

function observe(name: string, process: MemoryBot): ServiceObservation {
  const { state, pid, startedAt, readyAt, nextStartAt, restarts, lastExit, memory, ...rest } = process.observe();
  const { cpuSeconds, openFiles, diskBytes, reason, warning } = rest;
  const processes = { state, pid, startedAt, readyAt, nextStartAt, restarts, lastExit, memory };
  const outdated = isOutdated(process);
  return { name, ...processes, status: '', cpuSeconds, openFiles, diskBytes, outdated, reason, warning };
}
