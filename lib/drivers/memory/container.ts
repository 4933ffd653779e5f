import { createHash } from 'node:crypto';
import type {
  AgentObservation,
  ArchiveInfo,
  BackupInfo,
  BotObservation,
  BotSpec,
  ListenerObservation,
  LogChunk,
  RestoredInfo,
  RestoreOrder,
} from '../../domain/agent.ts';
import type { ContainerRecord } from '../../domain/container.ts';
import { BunkhouseError, messageOf } from '../../domain/errors.ts';
import { FILE_PATH, INSTANCE_ID } from '../../domain/ids.ts';
import type { ResetRule } from '../../domain/template.ts';
import type { Clock } from '../../util/clock.ts';
import { type Files, packFiles, unpackFiles } from './archives.ts';
import type { Behaviour } from './behaviour.ts';
import { MemoryBot, type Surroundings } from './bot.ts';
import { MemoryFences } from './fences.ts';
import { MemoryLogs } from './logs.ts';
import { MemoryServices, processName, type Rooms } from './services.ts';
import { Waiters } from './waiters.ts';
import { zygotesOf } from './zygotes.ts';

export interface ContainerSetting {
  readonly clock: Clock;
  readonly random: () => number;
  readonly behaviourOf: (bot: string) => Behaviour;
  readonly nextPid: () => number;
  readonly zygoteTrouble: () => string;
}

const LONGEST_CHUNK = 256 * 1024;

/** One make-believe container: what survives its life (files, logs, fences, archives), and its bots while it runs. */
export class MemoryContainer {
  /** Its labels, in effect: replaced when it is created again. */
  record: ContainerRecord;
  readonly installation: string;
  /** Set: the driver cannot tell what state it is in, and why. */
  unreadable: string | null = null;
  readonly #setting: ContainerSetting;
  readonly #files = new Map<string, Files>();
  readonly #logs = new MemoryLogs();
  readonly #serviceDirectories = new Set<string>();
  readonly #fences = new MemoryFences();
  readonly #archives = new Map<string, Buffer>();
  readonly #uploads = new Map<string, Buffer>();
  /** Directories that were put in place, by bot and upload. */
  readonly #placed = new Map<string, Files>();
  readonly #bots = new Map<string, MemoryBot>();
  #lives = 0;
  #running: Waiters | null = null;
  #services: MemoryServices | null = null;

  constructor(record: ContainerRecord, installation: string, setting: ContainerSetting) {
    this.record = record;
    this.installation = installation;
    this.#setting = setting;
  }

  get running(): boolean {
    return this.#running !== null;
  }

  /** Starts empty, like a supervisord: bots come by `apply`. */
  boot(): void {
    if (this.#running !== null) return;
    this.#lives += 1;
    const { clock } = this.#setting;
    const floor = Math.max(clock.now(), 1) + this.#lives;
    this.#running = new Waiters(clock, `${this.record.name}-${this.#lives}-${this.#setting.nextPid()}`, floor);
  }

  /** All its processes die at once. */
  halt(): void {
    for (const bot of this.#bots.values()) bot.vanish();
    this.#services?.vanish();
    this.#services = null;
    this.#bots.clear();
    this.#running?.fail(new BunkhouseError('AGENT_UNAVAILABLE', `${this.record.name} ended`));
    this.#running = null;
  }

  bot(name: string): MemoryBot | undefined {
    return this.#bots.get(name);
  }

  /** The make-believe process of a service. */
  service(name: string): MemoryBot | undefined {
    return this.#services?.process(name);
  }

  /** Names of what is in a bot's directory. */
  filesOf(name: string): readonly string[] {
    return [...(this.#files.get(name)?.keys() ?? [])];
  }

  fileOf(name: string, path: string): string | null {
    return this.bytesOf(name, path)?.toString() ?? null;
  }

  bytesOf(name: string, path: string): Buffer | null {
    return this.#files.get(name)?.get(path)?.data ?? null;
  }

  /** A bot writes a file. */
  write(name: string, path: string, content: string | Buffer): void {
    this.#files.get(name)?.set(path, { mode: 0o600, data: Buffer.from(content) });
  }

  /** Throws AGENT_UNAVAILABLE while it does not run. */
  changes(): Waiters {
    if (this.#running === null) throw new BunkhouseError('AGENT_UNAVAILABLE', `${this.record.name} does not run`);
    return this.#running;
  }

  observe(): AgentObservation {
    const { incarnation, cursor } = this.changes();
    return {
      incarnation,
      cursor,
      protocol: 3,
      directory: `/memory/${this.record.name}`,
      python: 'none',
      isolatesUsers: true,
      overhead: { pssBytes: 20 << 20, rssBytes: 25 << 20, privateBytes: 15 << 20, sharedBytes: 10 << 20, swapBytes: 0 },
      zygotes: zygotesOf([...this.#bots.values()], this.#setting.zygoteTrouble()),
      services: this.#services?.observe() ?? [],
      cgroups: { made: false, reason: 'there are no processes' },
      bots: [...this.#bots.values()].map((bot) => bot.observe()),
      directories: [...this.#files.keys()],
      dormant: this.#fences.known.filter(({ bot }) => !this.#bots.has(bot)),
      serviceDirectories: [...this.#serviceDirectories],
    };
  }

  apply(spec: BotSpec): BotObservation {
    const waiters = this.changes();
    checkSpec(spec);
    this.#fences.check(spec.bot, spec.generation, true);
    this.#checkSeat(spec);
    this.#writeFiles(spec);
    this.#fences.raise(spec.bot, spec.generation, false, spec.slot);
    const known = this.#bots.get(spec.bot);
    const bot = known ?? new MemoryBot(spec, this.#surroundings(waiters));
    this.#bots.set(spec.bot, bot);
    this.#servicesOf(waiters).want(spec);
    for (const { service } of spec.services) this.#serviceDirectories.add(service.name);
    bot.accept(spec);
    return bot.observe();
  }

  remove(name: string, generation: number): void {
    const waiters = this.changes();
    this.#fences.check(name, generation, false);
    this.#requireStopped(name);
    this.#takeSteps('deprovision', name);
    this.#fences.raise(name, generation, true);
    const known = this.#bots.delete(name);
    this.#files.delete(name);
    this.#logs.delete(name);
    if (!known) return;
    waiters.touch(name);
    this.#services?.changed();
  }

  listener(name: string): ListenerObservation {
    const seen = this.#bots.get(name)?.observe();
    if (seen === undefined)
      throw new BunkhouseError('NOT_FOUND', `${name} was not applied since its container started`);
    const { listener, pid, startedAt } = seen;
    return { listener: listener ?? 'none', pid, startedAt };
  }

  log(name: string, offset: number, length: number): LogChunk {
    this.changes();
    return this.#logs.read(name, offset, length);
  }

  serviceLog(service: string, offset: number, length: number): LogChunk {
    this.changes();
    return this.#logs.read(processName(service), offset, length);
  }

  /** There are no programs to run: `false` fails, and every step of a bot that cannot be cleaned; the others succeed. */
  reset(name: string, generation: number, { steps, verify }: ResetRule): void {
    const waiters = this.changes();
    this.#fences.check(name, generation, false);
    this.#requireStopped(name);
    const known = this.#bots.get(name);
    if (known === undefined)
      throw new BunkhouseError('NOT_FOUND', `${name} was not applied since its container started`);
    const missing = this.#services?.missing(known.spec) ?? '';
    if (missing !== '') throw new BunkhouseError('SERVICE_FAILED', `${name} waits for ${missing}`);
    this.#fences.raise(name, generation, false);
    const files = this.#files.get(name);
    const { cleanable } = this.#setting.behaviourOf(name);
    for (const step of [...steps, ...verify]) {
      if (step.kind === 'clear') clear(files, step.keep);
      else if (!cleanable || step.command[0] === 'false') {
        throw new BunkhouseError('RESET_FAILED', `${step.command[0]} failed on purpose`);
      }
    }
    this.#logs.delete(name);
    this.#bots.set(name, new MemoryBot(known.spec, this.#surroundings(waiters)));
    waiters.touch(name);
  }

  archive(name: string): ArchiveInfo {
    this.changes();
    this.#requireStopped(name);
    const files = this.#directory(name);
    this.#takeSteps('archive', name);
    return this.#pack(name, files);
  }

  /** There are no databases, only files. */
  backup(name: string): BackupInfo {
    this.changes();
    const files = this.#directory(name);
    if (this.#bots.get(name)?.spec.services.some((use) => use.archive.length > 0)) {
      this.#requireStopped(name);
      this.#takeSteps('archive', name);
    }
    const unpackedBytes = [...files.values()].reduce((sum, { data }) => sum + data.length, 0);
    const nothing = { databases: 0, damaged: [], damagedCount: 0, skipped: [], skippedCount: 0 };
    return { ...this.#pack(name, files), files: files.size, unpackedBytes, ...nothing };
  }

  receive(name: string, upload: string, offset: number, data: Uint8Array): void {
    this.changes();
    const key = `${name}@${upload}`;
    const before = this.#uploads.get(key) ?? Buffer.alloc(0);
    if (offset > before.length)
      throw new BunkhouseError('NOT_FOUND', `nothing was received before ${offset}: begin again at 0`);
    this.#uploads.set(key, Buffer.concat([before.subarray(0, offset), data]));
  }

  restore(name: string, generation: number, { upload, sha256, maxBytes }: RestoreOrder): RestoredInfo {
    this.changes();
    this.#fences.check(name, generation, false);
    this.#requireStopped(name);
    this.#directory(name);
    const key = `${name}@${upload}`;
    const bytes = this.#uploads.get(key);
    if (bytes === undefined) throw new BunkhouseError('NOT_FOUND', 'the archive to restore was not received');
    this.#uploads.delete(key);
    if (digest(bytes) !== sha256) throw new BunkhouseError('INVALID', 'what arrived is not what was sent');
    const files = unpackFiles(bytes, maxBytes);
    this.#fences.raise(name, generation, false);
    this.#files.set(name, files);
    this.#placed.set(key, files);
    return { files: files.size, databases: 0, damaged: [] };
  }

  restored(name: string, upload: string): boolean {
    this.changes();
    const placed = this.#placed.get(`${name}@${upload}`);
    return placed !== undefined && placed === this.#files.get(name);
  }

  fetch(archive: string, offset: number, length: number): Uint8Array {
    this.changes();
    const bytes = this.#archives.get(archive);
    if (bytes === undefined) throw new BunkhouseError('NOT_FOUND', `there is no archive ${archive}: make it again`);
    return bytes.subarray(offset, offset + Math.min(length, LONGEST_CHUNK));
  }

  discard(archive: string): void {
    this.changes();
    this.#archives.delete(archive);
  }

  // Private

  #directory(name: string): Files {
    const files = this.#files.get(name);
    if (files === undefined) throw new BunkhouseError('NOT_FOUND', `there is no directory of ${name}`);
    return files;
  }

  #pack(name: string, files: Files): ArchiveInfo {
    const bytes = packFiles(files);
    const archive = `${name}@${this.#setting.nextPid()}.tar.gz`;
    this.#archives.set(archive, bytes);
    return { archive, bytes: bytes.length, sha256: digest(bytes) };
  }

  #surroundings(waiters: Waiters): Surroundings {
    return {
      ...this.#setting,
      missing: (spec) => this.#services?.missing(spec) ?? '',
      roomTrouble: (spec) => this.#roomTrouble(spec),
      changed: (bot) => {
        waiters.touch(bot);
        this.#services?.changed();
      },
      say: (name, line) => this.#logs.say(name, line),
    };
  }

  #servicesOf(waiters: Waiters): MemoryServices {
    this.#services ??= new MemoryServices(this.#surroundings(waiters), () => [...this.#bots.values()]);
    return this.#services;
  }

  /** Throws SERVICE_FAILED. A bot that was not applied has no steps that anybody knows of. */
  #takeSteps(kind: Rooms, name: string): void {
    const spec = this.#bots.get(name)?.spec;
    if (spec !== undefined) this.#services?.take(kind, spec, this.#setting.behaviourOf(name).roomable);
  }

  #roomTrouble(spec: BotSpec): string {
    try {
      this.#services?.take('provision', spec, this.#setting.behaviourOf(spec.bot).roomable);
      return '';
    } catch (error) {
      return messageOf(error);
    }
  }

  #checkSeat(spec: BotSpec): void {
    for (const other of this.#bots.values()) {
      const { bot, slot, port } = other.spec;
      if (bot !== spec.bot && (slot === spec.slot || port === spec.port)) {
        throw new BunkhouseError('CONFLICT', `slot ${slot} with port ${port} is that of ${bot}`);
      }
      if (bot === spec.bot && other.alive && (slot !== spec.slot || port !== spec.port)) {
        throw new BunkhouseError('CONFLICT', `${bot} runs in slot ${slot}: stop it before it moves`);
      }
    }
  }

  #requireStopped(name: string): void {
    if (this.#bots.get(name)?.stopped === false) {
      throw new BunkhouseError('CONFLICT', `${name} is not stopped: apply it with run false and wait until it is`);
    }
  }

  #writeFiles(spec: BotSpec): void {
    const files = this.#files.get(spec.bot) ?? new Map();
    this.#files.set(spec.bot, files);
    for (const { path, mode, when, data } of spec.files) {
      if (when === 'always' || !files.has(path)) files.set(path, { mode, data: Buffer.from(data, 'base64') });
    }
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function checkSpec(spec: BotSpec): void {
  const wrong =
    spec.files.find((file) => !FILE_PATH.test(file.path))?.path ?? (INSTANCE_ID.test(spec.bot) ? null : spec.bot);
  if (wrong !== null) throw new BunkhouseError('INVALID', `${JSON.stringify(wrong)} is not allowed`);
  if (spec.command.length === 0) throw new BunkhouseError('INVALID', 'command must hold at least the program to run');
}

function clear(files: Map<string, unknown> | undefined, keep: readonly string[]): void {
  const kept = (path: string): boolean => keep.some((root) => path === root || path.startsWith(`${root}/`));
  for (const path of [...(files?.keys() ?? [])]) if (!kept(path)) files?.delete(path);
}
