import type { AgentObservation, BotObservation } from '../../../domain/agent.ts';
import { messageOf } from '../../../domain/errors.ts';
import { SingleFlight } from '../../../util/single-flight.ts';
import type { Agent } from '../../driver.ts';
import { confine, type Housing } from './confine.ts';
import { ticksSinceBoot } from './host.ts';
import type { Tenant } from './members.ts';
import type { Trees } from './trees.ts';

/** What a confiner needs of the world around its container. */
export interface ConfinerSources {
  /** The container as the engine sees it now; null while it does not run. */
  readonly housing: () => Promise<Housing | null>;
  /** The cgroups of the container's host, or why they cannot be changed. */
  readonly trees: () => Promise<Trees>;
  readonly uidOf: (port: number) => number;
  /** Is told whenever bots are left without cgroups, and why. */
  readonly onFailure: (reason: string) => void;
}

interface Due extends Tenant {
  /** Pid, start and limits: when one of them changes there is something to do. */
  readonly key: string;
}

/**
 * Keeps the bots of one container in cgroups of their own, from outside. Decides from the newest observation alone, and
 * remembers only what it need not do again: a supervisor that was started anew does it once more, to the same effect.
 */
export class Confiner {
  readonly #sources: ConfinerSources;
  readonly #flight = new SingleFlight(() => this.#run());
  readonly #done = new Map<number, string>();
  readonly #missed = new Map<number, string>();
  #newest: { readonly due: readonly Due[]; readonly toldAt: number } = { due: [], toldAt: 0 };
  #outcome: AgentObservation['cgroups'] | null = null;

  constructor(sources: ConfinerSources) {
    this.#sources = sources;
  }

  /** The observation with what is known of its cgroups. What is to be done about them is done beside, and fails in silence here. */
  consider(seen: AgentObservation): AgentObservation {
    if (seen.cgroups.made) return seen;
    const due = seen.bots.flatMap((bot) => this.#dueOf(bot));
    if (due.length > 0) {
      this.#newest = { due, toldAt: ticksSinceBoot() };
      void this.#flight.run();
    }
    return { ...seen, cgroups: this.#outcome ?? seen.cgroups };
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    return this.#flight.idle();
  }

  // Private

  #dueOf({ slot, port, pid, startedAt, limits }: BotObservation): Due[] {
    const key = JSON.stringify([pid, startedAt, limits]);
    if (pid === null || this.#done.get(slot) === key) return [];
    return [{ slot, pid, uid: this.#sources.uidOf(port), limits, key }];
  }

  /** Never throws. */
  async #run(): Promise<void> {
    const { due, toldAt } = this.#newest;
    let housing: Housing | null = null;
    try {
      housing = await this.#sources.housing();
      if (housing === null) return;
      const trees = await this.#sources.trees();
      if (trees.kind === 'none') this.#fail(trees.reason);
      else this.#settle(due, await confine(trees.trees, housing, { tenants: due, toldAt }));
    } catch (error) {
      if (await this.#lives(housing)) this.#fail(messageOf(error));
    }
  }

  /** A process that is missed once has just ended; one that is missed again and still told of is somewhere we do not see. */
  #settle(due: readonly Due[], confined: readonly Due[]): void {
    for (const { slot, key } of confined) this.#done.set(slot, key);
    const missing = due.filter((tenant) => !confined.includes(tenant));
    if (missing.some(({ slot, key }) => this.#missed.get(slot) === key)) {
      this.#fail('a process that the container tells of is not found in its cgroup');
    } else if (confined.length > 0) this.#outcome = { made: true, reason: '' };
    for (const { slot, key } of missing) this.#missed.set(slot, key);
  }

  #fail(reason: string): void {
    this.#outcome = { made: false, reason };
    this.#sources.onFailure(reason);
  }

  /** Whether it still is the same run of the container: what fails while it ends is no failure. */
  async #lives(before: Housing | null): Promise<boolean> {
    const now = await this.#sources.housing().catch(() => null);
    return before !== null && now !== null && now.id === before.id && now.pid === before.pid;
  }
}

/** The same agent, whose observations keep the container's bots confined. */
export function withCgroups(agent: Agent, confiner: Confiner): Agent {
  return {
    observe: async () => confiner.consider(await agent.observe()),
    apply: (spec) => agent.apply(spec),
    remove: (bot, generation) => agent.remove(bot, generation),
    wait: (cursor, seconds, signal) => agent.wait(cursor, seconds, signal),
    listener: (bot) => agent.listener(bot),
    log: (bot, offset, length) => agent.log(bot, offset, length),
    serviceLog: (service, offset, length) => agent.serviceLog(service, offset, length),
    reset: (bot, generation, rule) => agent.reset(bot, generation, rule),
    archive: (bot) => agent.archive(bot),
    backup: (bot) => agent.backup(bot),
    sendArchive: (bot, upload, offset, data) => agent.sendArchive(bot, upload, offset, data),
    restore: (bot, generation, order) => agent.restore(bot, generation, order),
    restored: (bot, upload) => agent.restored(bot, upload),
    fetchArchive: (archive, offset, length) => agent.fetchArchive(archive, offset, length),
    discardArchive: (archive) => agent.discardArchive(archive),
    close: () => agent.close(),
  };
}
