import type { BotRecord } from '../domain/bot.ts';
import { closedContainers } from '../domain/container.ts';
import { messageOf } from '../domain/errors.ts';
import type { HoldBack, Template } from '../domain/template.ts';
import { deriveState } from '../planner/bot-state.ts';
import { isToMove } from '../planner/departures.ts';
import { renderCheck } from '../planner/render.ts';
import { valuesOf } from '../planner/values.ts';
import type { PoolLimits, World } from '../planner/world.ts';
import type { Address, Prober } from '../probes/probe.ts';
import type { Clock } from '../util/clock.ts';
import { Semaphore } from '../util/semaphore.ts';

const EVERY_MS = 10_000;
const TIMEOUT_SECONDS = 5;
const AT_ONCE = 8;

export interface HoldBacksOptions {
  readonly prober: Pick<Prober, 'check'>;
  readonly clock: Clock;
  readonly templates: ReadonlyMap<string, Template>;
  readonly limits: Pick<PoolLimits, 'bindHost'>;
  readonly addressOf: (bot: string) => Address;
  /** An answer has changed, or the next question is due. */
  readonly request: () => void;
}

/** Asks running bots of containers that are emptied whether they may go, again and again until they do. */
export class HoldBacks {
  readonly #options: HoldBacksOptions;
  readonly #answers = new Map<string, string | null>();
  readonly #askedAt = new Map<string, number>();
  readonly #semaphore = new Semaphore(AT_ONCE);
  #cancelWake: () => void = () => {};
  #closed = false;

  constructor(options: HoldBacksOptions) {
    this.#options = options;
  }

  /** By bot: null when it may go, else why not. Who has not been asked yet is not there. */
  get answers(): ReadonlyMap<string, string | null> {
    return this.#answers;
  }

  follow(world: World): void {
    const asked = toAsk(world);
    for (const bot of this.#askedAt.keys()) if (!asked.has(bot)) this.#forget(bot);
    const { clock } = this.#options;
    for (const [bot, { record, rule }] of asked) {
      if (clock.monotonic() - (this.#askedAt.get(bot) ?? Number.NEGATIVE_INFINITY) < EVERY_MS) continue;
      this.#askedAt.set(bot, clock.monotonic());
      void this.#semaphore.run(() => this.#ask(record, rule));
    }
    this.#cancelWake();
    if (asked.size > 0 && !this.#closed) this.#cancelWake = clock.after(EVERY_MS, this.#options.request);
  }

  close(): void {
    this.#closed = true;
    this.#cancelWake();
  }

  // Private

  async #ask(record: BotRecord, rule: HoldBack): Promise<void> {
    const { instanceId } = record;
    if (this.#closed || !this.#askedAt.has(instanceId)) return;
    const answer = await this.#answerOf(record, rule);
    if (this.#closed || !this.#askedAt.has(instanceId)) return;
    const isNews = this.#answers.get(instanceId) !== answer;
    this.#answers.set(instanceId, answer);
    if (isNews) this.#options.request();
  }

  async #answerOf(record: BotRecord, { why, ...rule }: HoldBack): Promise<string | null> {
    const { prober, addressOf, limits } = this.#options;
    try {
      const address = addressOf(record.instanceId);
      const check = { kind: 'http', timeoutSeconds: TIMEOUT_SECONDS, status: 200, ...rule } as const;
      const values = valuesOf(record, address.port, limits.bindHost(record.location));
      const { ok } = await prober.check(address, [renderCheck(check, values)]);
      return ok ? null : `it ${why}, or does not answer`;
    } catch (error) {
      return messageOf(error);
    }
  }

  #forget(bot: string): void {
    this.#askedAt.delete(bot);
    this.#answers.delete(bot);
  }
}

// Private

interface Question {
  readonly record: BotRecord;
  readonly rule: HoldBack;
}

function toAsk(world: World): Map<string, Question> {
  const closed = closedContainers(world.state.containers);
  if (closed.size === 0) return new Map();
  const questions = world.state.bots.records.flatMap((record): [string, Question][] => {
    const rule = world.templates.get(record.template)?.holdBack ?? null;
    const container = record.placement?.container ?? '';
    if (rule === null || !closed.has(container) || !isToMove(record, { name: container })) return [];
    return deriveState(world, record).state === 'running' ? [[record.instanceId, { record, rule }]] : [];
  });
  return new Map(questions);
}
