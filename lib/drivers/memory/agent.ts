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
  WaitResult,
} from '../../domain/agent.ts';
import { BunkhouseError } from '../../domain/errors.ts';
import type { ResetRule } from '../../domain/template.ts';
import type { Agent } from '../driver.ts';
import type { MemoryContainer } from './container.ts';
import type { Method } from './faults.ts';
import type { MemoryWorld } from './world.ts';

/** The way into a make-believe container. */
export class MemoryAgent implements Agent {
  readonly #world: MemoryWorld;
  readonly #name: string;
  readonly #closing = new AbortController();

  constructor(world: MemoryWorld, name: string) {
    this.#world = world;
    this.#name = name;
  }

  observe(): Promise<AgentObservation> {
    return this.#run('agent.observe', this.#name, (container) => container.observe());
  }

  apply(spec: BotSpec): Promise<BotObservation> {
    return this.#run('agent.apply', spec.bot, (container) => container.apply(spec));
  }

  remove(bot: string, generation: number): Promise<void> {
    return this.#run('agent.remove', bot, (container) => container.remove(bot, generation));
  }

  wait(cursor: number, seconds: number, signal?: AbortSignal | undefined): Promise<WaitResult> {
    return this.#run('agent.wait', this.#name, async (container) => {
      const given = signal === undefined ? [] : [signal];
      const either = AbortSignal.any([this.#closing.signal, ...given]);
      if (either.aborted) throw gone(this.#name);
      try {
        return await container.changes().wait(cursor, seconds, either);
      } catch (error) {
        throw either.aborted ? gone(this.#name) : error;
      }
    });
  }

  listener(bot: string): Promise<ListenerObservation> {
    return this.#run('agent.listener', bot, (container) => container.listener(bot));
  }

  log(bot: string, offset: number, length: number): Promise<LogChunk> {
    return this.#run('agent.log', bot, (container) => container.log(bot, offset, length));
  }

  serviceLog(service: string, offset: number, length: number): Promise<LogChunk> {
    return this.#run('agent.serviceLog', service, (container) => container.serviceLog(service, offset, length));
  }

  reset(bot: string, generation: number, rule: ResetRule): Promise<void> {
    return this.#run('agent.reset', bot, (container) => container.reset(bot, generation, rule));
  }

  archive(bot: string): Promise<ArchiveInfo> {
    return this.#run('agent.archive', bot, (container) => container.archive(bot));
  }

  backup(bot: string): Promise<BackupInfo> {
    return this.#run('agent.backup', bot, (container) => container.backup(bot));
  }

  sendArchive(bot: string, upload: string, offset: number, data: Uint8Array): Promise<void> {
    return this.#run('agent.sendArchive', bot, (container) => container.receive(bot, upload, offset, data));
  }

  restore(bot: string, generation: number, order: RestoreOrder): Promise<RestoredInfo> {
    return this.#run('agent.restore', bot, (container) => container.restore(bot, generation, order));
  }

  restored(bot: string, upload: string): Promise<boolean> {
    return this.#run('agent.restored', bot, (container) => container.restored(bot, upload));
  }

  fetchArchive(archive: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#run('agent.fetchArchive', archive, (container) => container.fetch(archive, offset, length));
  }

  discardArchive(archive: string): Promise<void> {
    return this.#run('agent.discardArchive', archive, (container) => container.discard(archive));
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  #run<T>(method: Method, target: string, work: (container: MemoryContainer) => T | Promise<T>): Promise<T> {
    return this.#world.faults.run(method, target, () => {
      const container = this.#world.containers.get(this.#name);
      if (container === undefined || this.#closing.signal.aborted) throw gone(this.#name);
      return work(container);
    });
  }
}

function gone(name: string): BunkhouseError {
  return new BunkhouseError('AGENT_UNAVAILABLE', `the connection to ${name} is closed`);
}
