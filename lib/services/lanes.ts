import { BunkhouseError, messageOf } from '../domain/errors.ts';
import { type Step, stepLane } from '../domain/steps.ts';
import { explainStep, stepTarget } from '../planner/explain.ts';
import type { Failure, Hold } from '../planner/world.ts';
import { backoffMs } from '../util/backoff.ts';
import { Semaphore } from '../util/semaphore.ts';
import type { Dependencies } from './dependencies.ts';

const RETRY = { minMs: 1_000, maxMs: 60_000 };
/** Steps of one kind under way at the same time: long ones, like archives, do not hold up starts and stops. */
const WIDTH = 16;
/** Each has the disk sync a file, and what is answered to callers is synced on the same one. */
const TELLING_WIDTH = 4;

type Trouble = Hold & Failure;

/**
 * Runs steps beside each other, one per lane. A step that fails puts its lane on hold with capped exponential backoff, for
 * ever; one that hangs keeps its own lane busy, and one of the places of its kind.
 */
export class Lanes {
  readonly #deps: Pick<Dependencies, 'clock' | 'random' | 'log' | 'events'>;
  readonly #run: (step: Step) => Promise<void>;
  readonly #onDone: (step: Step) => void;
  readonly #busy = new Set<string>();
  readonly #semaphores = new Map<string, Semaphore>();
  readonly #failures = new Map<string, Trouble>();
  readonly #underway = new Set<Promise<void>>();
  #closed = false;

  constructor(
    deps: Pick<Dependencies, 'clock' | 'random' | 'log' | 'events'>,
    run: (step: Step) => Promise<void>,
    onDone: (step: Step) => void,
  ) {
    this.#deps = deps;
    this.#run = run;
    this.#onDone = onDone;
  }

  get busy(): ReadonlySet<string> {
    return this.#busy;
  }

  get holds(): ReadonlyMap<string, Trouble> {
    return this.#failures;
  }

  /** Begins the step, unless its lane is busy: then the next pass will find it again if it is still needed. */
  start(step: Step): void {
    const lane = stepLane(step);
    if (this.#closed || this.#busy.has(lane)) return;
    this.#busy.add(lane);
    const turn = async (): Promise<void> => {
      if (!this.#closed) await this.perform(step);
    };
    const work = this.#semaphoreOf(step)
      .run(turn)
      .finally(() => {
        this.#underway.delete(work);
        this.#busy.delete(lane);
        this.#onDone(step);
      });
    this.#underway.add(work);
  }

  /** Runs the step now and waits for it. A failure is noted on its lane, not thrown. */
  async perform(step: Step): Promise<void> {
    const lane = stepLane(step);
    try {
      await this.#run(step);
      this.#failures.delete(lane);
    } catch (error) {
      this.#fail(step, lane, error);
    }
  }

  /** Drops failures that are over: the lane might have tried again by now, and nothing is left for it to do. */
  settle(planned: readonly Step[], monotonic: number): void {
    const needed = new Set(planned.map(stepLane));
    for (const [lane, { until }] of this.#failures) {
      if (until <= monotonic && !needed.has(lane) && !this.#busy.has(lane)) this.#failures.delete(lane);
    }
  }

  /** Begins nothing more. Resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#underway);
  }

  /** What nobody waits for queues by itself, so that nobody waits behind hundreds of it. */
  #semaphoreOf(step: Step): Semaphore {
    const sake = step.kind === 'applyBot' ? step.sake : null;
    const queue = sake === null ? step.kind : `${step.kind} for ${sake}`;
    const semaphore = this.#semaphores.get(queue) ?? new Semaphore(sake === 'telling' ? TELLING_WIDTH : WIDTH);
    this.#semaphores.set(queue, semaphore);
    return semaphore;
  }

  #fail(step: Step, lane: string, error: unknown): void {
    const { clock, random, log, events } = this.#deps;
    const count = (this.#failures.get(lane)?.count ?? 0) + 1;
    const delay = backoffMs(count, RETRY, random());
    const message = messageOf(error);
    const code = error instanceof BunkhouseError ? error.code : 'INTERNAL';
    this.#failures.set(lane, { count, code, until: clock.monotonic() + delay, reason: message });
    log.warn(
      {
        step: step.kind,
        target: stepTarget(step),
        code,
        retryInMs: delay,
        err: code === 'INTERNAL' ? error : undefined,
      },
      `could not ${explainStep(step)}: ${message}`,
    );
    events.emit(
      {
        type: 'step.failed',
        step: step.kind,
        target: stepTarget(step),
        code,
        message,
        retryInSeconds: Math.ceil(delay / 1000),
      },
      null,
    );
  }
}
