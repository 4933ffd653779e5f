import { BunkhouseError, type ErrorCode } from '../../domain/errors.ts';
import type { Clock } from '../../util/clock.ts';
import type { Agent, Driver } from '../driver.ts';
import type { ForeignHost } from '../foreign-host.ts';

/** Methods of the driver, and (`agent.…`) of its agents. */
export type Method =
  | Exclude<keyof Driver, 'name' | 'bindHost' | 'watch' | 'close'>
  | `agent.${Exclude<keyof Agent, 'close'>}`;

/** Of the host of foreign deployments. */
export type ForeignMethod = `foreign.${keyof ForeignHost}`;
type AnyMethod = Method | ForeignMethod;

export interface FaultPoint {
  readonly method: AnyMethod;
  /** Name of the container or, for agents, of the container or bot; empty where there is none. */
  readonly target: string;
  readonly when: 'before' | 'after';
}

type Fault =
  | { readonly kind: 'fail'; readonly code: ErrorCode }
  | { readonly kind: 'lose' }
  | { readonly kind: 'hang'; readonly after: boolean };

/** What goes wrong on purpose. Each knob counts down with the calls it spoils. */
export class Faults {
  /** Added to every call, in milliseconds. */
  latencyMs = 0;
  /** Called before and after the work of each method: the place to stop, count, or throw. */
  hook: (point: FaultPoint) => void | Promise<void> = () => {};
  readonly #clock: Clock;
  readonly #queue = new Map<AnyMethod, Fault[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The next calls fail with that code and do nothing. */
  failNext(method: AnyMethod, code: ErrorCode, times = 1): void {
    this.#add(method, { kind: 'fail', code }, times);
  }

  /** The next calls do their work, but the answer is lost. */
  loseNextAnswer(method: AnyMethod, times = 1): void {
    this.#add(method, { kind: 'lose' }, times);
  }

  /** The next calls never answer, having done their work or not. */
  hangNext(method: AnyMethod, work: 'done' | 'undone' = 'undone', times = 1): void {
    this.#add(method, { kind: 'hang', after: work === 'done' }, times);
  }

  clear(): void {
    this.#queue.clear();
    this.latencyMs = 0;
    this.hook = () => {};
  }

  /** Runs one call through all of it. */
  async run<T>(method: AnyMethod, target: string, work: () => T | Promise<T>): Promise<T> {
    const fault = this.#queue.get(method)?.shift();
    await this.hook({ method, target, when: 'before' });
    if (this.latencyMs > 0) await this.#clock.sleep(this.latencyMs);
    if (fault?.kind === 'fail') throw new BunkhouseError(fault.code, `${method} of ${target} fails on purpose`);
    if (fault?.kind === 'hang' && !fault.after) return forever();
    const result = await work();
    await this.hook({ method, target, when: 'after' });
    if (fault?.kind === 'hang') return forever();
    if (fault?.kind === 'lose')
      throw new BunkhouseError(lostCode(method), `the answer of ${method} of ${target} is lost on purpose`);
    return result;
  }

  #add(method: AnyMethod, fault: Fault, times: number): void {
    const queue = this.#queue.get(method) ?? [];
    this.#queue.set(method, [...queue, ...Array.from({ length: times }, () => fault)]);
  }
}

const lostCode = (method: AnyMethod): ErrorCode =>
  method.startsWith('agent.') ? 'AGENT_UNAVAILABLE' : 'DRIVER_UNAVAILABLE';

const forever = (): Promise<never> => new Promise(() => {});
