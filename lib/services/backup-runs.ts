import { type BackupFacts, type BackupKind, isGood } from '../domain/backup.ts';
import type { Keep } from '../domain/backup-rule.ts';
import type { BotRecord } from '../domain/bot.ts';
import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { isHeldStill } from '../domain/move.ts';
import { planRetention } from '../planner/retention.ts';
import { backoffMs } from '../util/backoff.ts';
import { Semaphore } from '../util/semaphore.ts';
import type { Agents } from './agents.ts';
import { findBot } from './bot-container-mapper.ts';
import type { Dependencies } from './dependencies.ts';
import { keepBackup } from './packing.ts';

const RETRY = { minMs: 60_000, maxMs: 3_600_000 };

export interface BackupFailure {
  readonly count: number;
  readonly why: string;
  /** Ms since the epoch. */
  readonly at: number;
  readonly nextTryAt: number;
}

type RunDependencies = Pick<Dependencies, 'store' | 'backups' | 'templates' | 'events' | 'clock' | 'random' | 'log'>;

/** Makes backups: one of a bot at a time, a few at a time in all, and throws away those that need not be kept. */
export class BackupRuns {
  readonly #deps: RunDependencies;
  readonly #agents: Agents;
  readonly #keep: Keep;
  readonly #turns: Semaphore;
  readonly #running = new Map<string, Promise<BackupFacts>>();
  readonly #failures = new Map<string, BackupFailure>();

  constructor(deps: RunDependencies, agents: Agents, { keep, parallel }: { keep: Keep; parallel: number }) {
    this.#deps = deps;
    this.#agents = agents;
    this.#keep = keep;
    this.#turns = new Semaphore(parallel);
  }

  isRunning(bot: string): boolean {
    return this.#running.has(bot);
  }

  failureOf(bot: string): BackupFailure | null {
    return this.#failures.get(bot) ?? null;
  }

  /** Those who ask while it is being made get the same one. */
  run(bot: string, kind: BackupKind): Promise<BackupFacts> {
    const running = this.#running.get(bot);
    if (running !== undefined) return running;
    const work = this.#turns.run(() => this.#make(bot, kind)).finally(() => this.#running.delete(bot));
    this.#running.set(bot, work);
    return work;
  }

  /** As `run`; a failure is noted and told, not thrown. */
  async attempt(bot: string, kind: BackupKind): Promise<void> {
    await this.run(bot, kind).catch(() => {});
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#running.values());
  }

  async #make(bot: string, kind: BackupKind): Promise<BackupFacts> {
    const record = findBot(this.#deps.store.current(), bot);
    try {
      const facts = await keepBackup(
        { agents: this.#agents, shelf: this.#deps.backups },
        containerOf(record),
        record,
        kind,
      );
      this.#deps.events.emit({ type: 'bot.backup', bot, backup: facts.id, good: isGood(facts) }, record.owner);
      if (isGood(facts)) this.#failures.delete(bot);
      else this.#fail(record, `its database ${facts.damaged[0]?.path} is damaged: ${facts.damaged[0]?.why}`);
      await this.#prune(record);
      return facts;
    } catch (error) {
      this.#fail(record, messageOf(error));
      throw error;
    }
  }

  #fail({ instanceId, owner }: BotRecord, why: string): void {
    const { clock, random, events, log } = this.#deps;
    const count = (this.#failures.get(instanceId)?.count ?? 0) + 1;
    const delay = backoffMs(count, RETRY, random());
    this.#failures.set(instanceId, { count, why, at: clock.now(), nextTryAt: clock.now() + delay });
    log.warn({ bot: instanceId, count, retryInMs: delay }, `no good backup of ${instanceId}: ${why}`);
    const retryInSeconds = Math.ceil(delay / 1000);
    events.emit({ type: 'bot.backup-failed', bot: instanceId, why, retryInSeconds }, owner);
  }

  /** What cannot be thrown away now, or is being restored from, is thrown away after the next backup. */
  async #prune({ instanceId: bot, owner, template }: BotRecord): Promise<void> {
    const { backups, templates, clock, log } = this.#deps;
    const keep = templates.get(template)?.backup.keep ?? this.#keep;
    const own = backups.knownOf(bot).filter((facts) => facts.owner === owner);
    for (const id of planRetention(own, keep, clock.now())) {
      if (this.#isWanted(id)) continue;
      await backups.remove(id).catch((error: unknown) => log.warn({ bot, id }, `${id} stays: ${messageOf(error)}`));
    }
  }

  #isWanted(id: string): boolean {
    const { bots, migrations } = this.#deps.store.current();
    return (
      bots.records.some(({ restore }) => restore?.backup === id) ||
      migrations.records.some(({ backup, carried, phase }) => phase !== 'finished' && (backup === id || carried === id))
    );
  }
}

// Private

function containerOf({ instanceId, placement, deleting, reserve, restore, move }: BotRecord): string {
  if (reserve !== null)
    throw new BunkhouseError('CONFLICT', `${instanceId} is handed out on lease: what is done in it is not kept`);
  if (deleting) throw new BunkhouseError('CONFLICT', `${instanceId} is being deleted, and archived with that`);
  if (restore !== null) throw new BunkhouseError('CONFLICT', `${instanceId} is being restored; wait until it is`);
  if (isHeldStill(move)) throw new BunkhouseError('CONFLICT', `${instanceId} is being moved; wait until it is there`);
  if (placement !== null) return placement.container;
  throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} has no container yet, so no data`, {
    retryAfterSeconds: 5,
  });
}
