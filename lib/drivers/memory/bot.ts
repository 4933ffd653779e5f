import type {
  BotObservation,
  BotSpec,
  ExitObservation,
  Marks,
  MemorySample,
  ProcessState,
  Spawn,
} from '../../domain/agent.ts';
import { backoffMs } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';
import type { Behaviour } from './behaviour.ts';

const MIB = 1 << 20;
const MEMORY: MemorySample = {
  pssBytes: 40 * MIB,
  rssBytes: 120 * MIB,
  privateBytes: 30 * MIB,
  sharedBytes: 90 * MIB,
  swapBytes: 0,
};

/** Share of a processor that each process takes. */
const CPU_SHARE = 0.01;

/** What a bot needs of the container it is in. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: () => number;
  readonly behaviourOf: (bot: string) => Behaviour;
  readonly nextPid: () => number;
  /** Why the zygotes cannot be had; empty when they can. */
  readonly zygoteTrouble: () => string;
  /** What a bot with that spec has to wait for; empty when nothing is missing. */
  readonly missing: (spec: BotSpec) => string;
  /** Why there can be no room for it in a service; empty when there can. */
  readonly roomTrouble: (spec: BotSpec) => string;
  readonly changed: (bot: string) => void;
  readonly say: (bot: string, line: string) => void;
}

interface Life {
  readonly pid: number;
  readonly startedAt: number;
  readonly generation: number;
  readonly behaviour: Behaviour;
  readonly spawn: Spawn;
  readonly marks: Marks;
  readyAt: number | null;
  /** Why it is being ended, and whether somebody asked for it. */
  ending: { readonly reason: string; readonly asked: boolean } | null;
}

/** One bot and its make-believe process, with the rules of the plugin: restarts, backoff, deadlines, stopping. */
export class MemoryBot {
  #spec: BotSpec;
  readonly #around: Surroundings;
  #life: Life | null = null;
  #state: ProcessState = 'stopped';
  #failures = 0;
  #restarts = 0;
  #nextStartAt: number | null = null;
  #lastExit: ExitObservation | null = null;
  #reason = '';
  /** Not started because something is missing; `unasked`: the start that is to come. */
  #waiting: { readonly unasked: boolean } | null = null;
  /** Generation for which it has room in its services. */
  #roomFor: number | null = null;
  #timers: (() => void)[] = [];

  constructor(spec: BotSpec, around: Surroundings) {
    this.#spec = spec;
    this.#around = around;
  }

  get spec(): BotSpec {
    return this.#spec;
  }

  get alive(): boolean {
    return this.#life !== null;
  }

  get stopped(): boolean {
    return this.#state === 'stopped';
  }

  /** Takes a spec and does what it asks for. A newer one cuts a backoff short. */
  accept(spec: BotSpec): void {
    const newer = spec.generation > this.#spec.generation;
    this.#spec = spec;
    if (this.#life !== null) this.#checkLife(this.#life);
    else if (!spec.run) this.#rest();
    else if (newer || this.#state !== 'backoff') this.#start(false);
  }

  /** The process ends as if by its own doing or by a signal from outside. */
  die(code: number | null, signal: string | null): void {
    if (this.#life !== null) this.#exited(this.#life, code, signal);
  }

  /** What it waits for may be there now. */
  retry(): void {
    if (this.#waiting !== null) this.#start(this.#waiting.unasked);
  }

  /** With its container: nothing of it goes on. */
  vanish(): void {
    this.#clearTimers();
    this.#life = null;
    this.#state = 'stopped';
  }

  observe(): BotObservation {
    const { bot, slot, port, generation, run, limits } = this.#spec;
    const life = this.#life;
    return {
      bot,
      slot,
      port,
      generation,
      run,
      limits,
      state: this.#state,
      pid: life?.pid ?? null,
      startedAt: life?.startedAt ?? null,
      readyAt: life?.readyAt ?? null,
      startedGeneration: life?.generation ?? null,
      nextStartAt: this.#nextStartAt,
      restarts: this.#restarts,
      lastExit: this.#lastExit,
      status: life?.readyAt === undefined || life.readyAt === null ? '' : 'State: RUNNING.',
      listener: life === null ? null : life.readyAt === null ? 'none' : life.behaviour.listener,
      memory: life === null ? null : MEMORY,
      cpuSeconds: life === null ? null : (this.#around.clock.now() / 1000 - life.startedAt) * CPU_SHARE,
      openFiles: life === null ? null : 12,
      diskBytes: null,
      spawn: life?.spawn ?? null,
      marks: life?.marks ?? null,
      reason: this.#reason,
      warning: '',
    };
  }

  // Private

  /** Once its services are up, and have made room for it once for each change of it. */
  #start(unasked: boolean): void {
    this.#clearTimers();
    const missing = this.#around.missing(this.#spec);
    if (missing !== '') {
      this.#wait(missing, unasked);
      return;
    }
    if (this.#waiting !== null) this.#reason = '';
    this.#waiting = null;
    const trouble = this.#roomFor === this.#spec.generation ? '' : this.#around.roomTrouble(this.#spec);
    if (trouble === '') this.#launch(unasked);
    else this.#backOff(trouble, unasked);
  }

  #wait(missing: string, unasked: boolean): void {
    const reason = `waits for ${missing}`;
    const told = this.#waiting !== null && this.#reason === reason;
    this.#waiting = { unasked };
    this.#nextStartAt = null;
    this.#reason = reason;
    if (!told) this.#become('starting');
  }

  #launch(unasked: boolean): void {
    this.#roomFor = this.#spec.generation;
    const { clock, nextPid, behaviourOf, say } = this.#around;
    const { bot, generation, readiness, marks } = this.#spec;
    const behaviour = behaviourOf(bot);
    const life: Life = {
      pid: nextPid(),
      startedAt: clock.now() / 1000,
      generation,
      behaviour,
      spawn: this.#way(),
      marks,
      readyAt: null,
      ending: null,
    };
    this.#life = life;
    this.#nextStartAt = null;
    if (unasked) this.#restarts += 1;
    say(bot, `${bot} starts as ${life.pid}`);
    this.#after(behaviour.readyMs, () => this.#ready(life));
    this.#after(behaviour.livesMs, () => this.#exited(life, behaviour.exitCode, null));
    const { startupSeconds } = readiness;
    this.#after(startupSeconds * 1000, () => {
      if (life.readyAt === null) this.#end(life, `not ready ${startupSeconds} s after its start`, false);
    });
    this.#become('starting');
  }

  #way(): Spawn {
    if (this.#spec.prefork === null) return { kind: 'exec', reason: '' };
    const trouble = this.#around.zygoteTrouble();
    return trouble === ''
      ? { kind: 'prefork', reason: '' }
      : { kind: 'exec', reason: `the zygote is not there: ${trouble}` };
  }

  #ready(life: Life): void {
    if (life.ending !== null) return;
    life.readyAt = this.#around.clock.now() / 1000;
    this.#reason = '';
    this.#become('running');
  }

  #checkLife(life: Life): void {
    if (life.ending !== null) return;
    if (!this.#spec.run) this.#end(life, 'stopped as asked', true);
    else if (life.generation < this.#spec.restartGeneration) this.#end(life, 'restarted as asked', true);
  }

  #end(life: Life, reason: string, asked: boolean): void {
    if (life.ending !== null) return;
    life.ending = { reason, asked };
    this.#reason = reason;
    this.#after(life.behaviour.stopMs, () => this.#exited(life, 130, null));
    this.#after(this.#spec.stop.graceSeconds * 1000, () => this.#exited(life, null, 'SIGKILL'));
    this.#become('stopping');
  }

  #exited(life: Life, code: number | null, signal: string | null): void {
    this.#clearTimers();
    const { clock, say } = this.#around;
    const { bot, backoff, run } = this.#spec;
    const how = signal === null ? `exited with code ${code}` : `killed by ${signal}`;
    const { reason, asked } = life.ending ?? { reason: how, asked: false };
    say(bot, `${bot} ${how}`);
    const now = clock.now() / 1000;
    this.#life = null;
    this.#reason = reason;
    this.#lastExit = { code, signal, at: now, expected: asked };
    if (life.readyAt !== null && now - life.readyAt >= backoff.healthySeconds) this.#failures = 0;
    if (!run) this.#rest();
    else if (asked) this.#start(false);
    else this.#backOff(reason, true);
  }

  #backOff(reason: string, unasked: boolean): void {
    const { clock, random } = this.#around;
    this.#reason = reason;
    const { minSeconds, maxSeconds } = this.#spec.backoff;
    this.#failures += 1;
    const waitMs = backoffMs(this.#failures, { minMs: minSeconds * 1000, maxMs: maxSeconds * 1000 }, random());
    this.#nextStartAt = (clock.now() + waitMs) / 1000;
    this.#after(waitMs, () => this.#start(unasked));
    this.#become('backoff');
  }

  #rest(): void {
    this.#clearTimers();
    if (this.#waiting !== null) this.#reason = '';
    this.#waiting = null;
    this.#nextStartAt = null;
    this.#become('stopped');
  }

  #become(state: ProcessState): void {
    this.#state = state;
    this.#around.changed(this.#spec.bot);
  }

  #after(ms: number | null, work: () => void): void {
    if (ms !== null) this.#timers.push(this.#around.clock.after(ms, work));
  }

  #clearTimers(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
  }
}
