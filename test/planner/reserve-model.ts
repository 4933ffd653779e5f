import { expect } from 'vitest';
import type { BotObservation, BotSpec } from '../../lib/domain/agent.ts';
import { poolLocation } from '../../lib/domain/bot.ts';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import { isWaiting, type LeaseRecord } from '../../lib/domain/lease.ts';
import type { State } from '../../lib/domain/state.ts';
import type { Step } from '../../lib/domain/steps.ts';
import { deriveState } from '../../lib/planner/bot-state.ts';
import { isFit, readyBots } from '../../lib/planner/reserve.ts';
import type { World } from '../../lib/planner/world.ts';
import {
  addContainer,
  assignBot,
  forgetBot,
  forgetContainer,
  type NewBot,
  raiseGeneration,
  reviseBot,
} from '../../lib/services/bot-container-mapper.ts';
import {
  type Acquisition,
  endLease,
  extendLease,
  forgetLeases,
  leaseNew,
  leaseReady,
  shiftLeases,
} from '../../lib/services/lease-changes.ts';
import {
  addReserve,
  admitReady,
  beginReset,
  demoteReady,
  discardBot,
  overtake,
  rewarm,
} from '../../lib/services/reserve-changes.ts';
import { ReserveTargets } from '../../lib/services/reserve-targets.ts';
import type { Change } from '../../lib/store/store.ts';
import { aBot, anAgent, aState, aTemplate, aWorld, NOW, observedBot, observedContainer } from './builders.ts';

/** Warm ones in each location. */
export const TARGETS = { local: 3, weur: 1 } as const;
export type Place = keyof typeof TARGETS;
export const MOST = 8;
export const TTL = 60;

const TEMPLATE = aTemplate({
  lease: {
    ttlSeconds: TTL,
    maxTtlSeconds: 600,
    perOwner: null,
    access: {},
    reserve: { target: null, locations: TARGETS, min: 3, batchSize: 2, batchSpacingSeconds: 0, windows: [] },
    reset: { steps: [], verify: [] },
  },
});

/** What gets lost on the way: the supervisor dies, or the store fails, right before this many-th change of a step. */
export type Loss = number | null;

/**
 * A whole system in miniature: the store, and containers whose bots are dirtied by whoever has them. Steps are carried out as
 * by the real executors; each may be broken off between its effects, done twice, and heard of late.
 */
export class ReserveModel {
  state: State = aState([]);
  now = NOW;
  listable = true;
  /** Whether nobody can look into `weur`. */
  cut = false;
  /** Whether processes that start from now on get well. */
  healthy = true;
  cleanable = true;
  storeWorks = true;
  readonly containers = new Map<string, ModelContainer>();
  readonly sent: (() => void)[] = [];
  #copy: State = this.state;
  #loss: Loss = null;
  #ids = 0;
  #targets = this.#newTargets();

  /** Null: it was refused. Throws when the supervisor dies there. */
  change<T>(change: Change<T>): T | null {
    if (this.#loss === 0) throw new Lost();
    if (this.#loss !== null) this.#loss -= 1;
    if (!this.storeWorks) throw new Lost();
    try {
      const { state, result } = change(this.state);
      this.state = state;
      return result;
    } catch (error) {
      if (error instanceof BunkhouseError) return null;
      throw error;
    }
  }

  /** A new supervisor: it knows what is in the store and nothing else. */
  restart(how: 'restart' | 'back up' | 'set back'): void {
    if (how === 'back up') this.#copy = this.state;
    if (how === 'set back') this.#setBack();
    this.#targets = this.#newTargets();
  }

  /** What a container never heard of before an older store came back, nobody can know: there nobody left anything. */
  #setBack(): void {
    for (const box of this.containers.values()) {
      for (const bot of box.dirt.keys()) {
        const { generation = 0 } = this.state.bots.get(bot) ?? {};
        if ((box.fences.get(bot) ?? 0) < generation) box.dirt.delete(bot);
      }
    }
    this.state = this.#copy;
  }

  world(): World {
    const boxes = [...this.containers.values()];
    return aWorld({
      now: this.now,
      monotonic: this.now,
      leaseClock: this.now,
      state: this.state,
      templates: new Map([['echo', TEMPLATE]]),
      reserves: this.#targets.now(this.state),
      listing: this.listable
        ? {
            kind: 'seen',
            value: new Map(
              boxes.map((box) => [
                box.record.name,
                observedContainer(box.record, this.#isCut(box) ? 'unknown' : box.on ? 'running' : 'stopped'),
              ]),
            ),
          }
        : { kind: 'unknown', reason: 'no answer' },
      unreachable: new Map(this.cut ? [['weur', 'the line is cut']] : []),
      agents: new Map(
        boxes
          .filter((box) => box.on && !this.#isCut(box))
          .map((box) => [
            box.record.name,
            box.silent ? { kind: 'unknown', reason: 'silent' } : { kind: 'seen', value: box.observe() },
          ]),
      ),
    });
  }

  /** Null: anywhere. */
  acquire(owner: string, location: Place | null): LeaseRecord | null {
    const ready = this.listable ? this.#readyIn(location) : undefined;
    const wish: Acquisition = {
      id: `lease-${++this.#ids}`,
      template: 'echo',
      location,
      owner,
      ttlSeconds: TTL,
      now: this.now,
      limits: { perOwner: null, hourly: null, daily: null },
    };
    const change =
      ready === undefined ? leaseNew(this.#newBot(location ?? 'local'), wish, MOST) : leaseReady(ready, wish);
    const lease = this.#orLost(() => this.change(change));
    if (lease === null) return null;
    expect(lease.location, 'a lease elsewhere than asked for').toBe(location ?? lease.location);
    for (const box of this.containers.values()) {
      expect(box.dirt.get(lease.bot) ?? null, `${lease.bot} is handed out dirty`).toBeNull();
    }
    return lease;
  }

  extend(id: string, seconds: number): void {
    this.#orLost(() => this.change(extendLease(id, seconds, 600, this.now)));
  }

  release(id: string): void {
    this.#orLost(() => this.change(endLease(id, 'released', this.now)));
  }

  /** An administrator deletes it. */
  remove(bot: string): void {
    this.#orLost(() => this.change(discardBot(bot, this.now)));
  }

  restartBot(bot: string): void {
    this.#orLost(() => this.change(reviseBot(bot, () => ({}), true)));
  }

  /** Whoever has a bot leaves traces in it, and so does a process that has not heard yet that its lease is over. */
  soil(): void {
    for (const { instanceId, reserve, placement } of this.state.bots.records) {
      const box = this.containers.get(placement?.container ?? '');
      if (reserve?.phase === 'assigned' && box?.bots.get(instanceId)?.run)
        box.dirt.set(instanceId, reserve.lease ?? '?');
    }
  }

  /** Carries out a step; `loss` says how far it gets. */
  apply(step: Step, loss: Loss): void {
    this.#loss = loss;
    this.#orLost(() => this.#perform(step));
    this.#loss = null;
  }

  #perform(step: Step): void {
    switch (step.kind) {
      case 'recordContainer':
        this.change(addContainer(step.container));
        return;
      case 'assign':
        this.change(assignBot(step.bot, step.placement));
        return;
      case 'createContainer': {
        const known = this.containers.get(step.container.name);
        this.containers.set(step.container.name, known ?? new ModelContainer(step.container, this));
        return;
      }
      case 'startContainer':
        this.containers.get(step.container)?.start();
        return;
      case 'applyBot':
        this.#send(step.container, (box) => box.apply(step.spec), step.spec.bot);
        return;
      case 'removeBot':
        if (this.#send(step.container, (box) => box.remove(step.bot, step.generation), step.bot))
          this.change(forgetBot(step.bot));
        return;
      case 'forgetBot':
        this.change(forgetBot(step.bot));
        return;
      case 'addReserve':
        this.#addReserve(step.location as Place, step.count, step.target);
        return;
      case 'admitReady':
        this.change(admitReady(step.bot, this.now));
        this.#targets.noteWell(this.#placeOf(step.bot));
        return;
      case 'demoteReady':
        this.change(demoteReady(step.bot, this.now));
        return;
      case 'giveUpWarming':
        this.change(discardBot(step.bot, this.now));
        this.#targets.noteUnwell(step, step.why);
        return;
      case 'discardBot':
        this.change(discardBot(step.bot, this.now));
        return;
      case 'resetBot':
        this.#reset(step.container, step.bot, step.generation);
        return;
      case 'expireLease':
        this.change(endLease(step.lease, 'expired', this.now));
        return;
      case 'forgetLeases':
        this.change(forgetLeases(this.now));
        return;
      case 'shiftLeases':
        this.change(shiftLeases(step.byMs));
        return;
      case 'removeContainer':
        this.containers.delete(step.container);
        return;
      case 'raiseGeneration':
        this.change(raiseGeneration(step.to));
        return;
      case 'forgetContainer':
        this.change(forgetContainer(step.container));
        return;
      case 'archiveBot':
        throw new Error('what somebody did in a lease is kept');
      case 'restartBot':
        this.change(reviseBot(step.bot, () => ({}), true));
        return;
      case 'controlBot':
        return;
    }
  }

  #addReserve(location: Place, count: number, target: number): void {
    const place = { template: 'echo', location };
    const made = Array.from({ length: count }, () => this.#newBot(location));
    const added = this.change(addReserve(place, made, { target, most: MOST }, this.now));
    this.#targets.noteBatch(place);
    if (added === null || added === 0) return;
    const waiting = this.state.bots.records.filter(
      (bot) => !bot.deleting && isWaiting(bot) && bot.location === location,
    );
    expect(waiting.length, 'more were made than are wanted').toBeLessThanOrEqual(TARGETS[location]);
  }

  #reset(container: string, bot: string, generation: number): void {
    if (this.change(beginReset(bot, this.now)) === null) return;
    let answer: 'clean' | 'failed' | 'stale' | null = null;
    this.#send(
      container,
      (box) => {
        answer = box.reset(bot, generation, this.cleanable);
        return answer !== 'stale';
      },
      bot,
    );
    if (answer === 'clean') this.change(rewarm(bot, {}, this.now));
    if (answer === 'failed') this.change(discardBot(bot, this.now));
  }

  /** What was sent may be heard again much later, by another supervisor. False: it was refused as late. */
  #send(container: string, command: (box: ModelContainer) => boolean, bot: string): boolean {
    const hear = (): boolean => {
      const box = this.containers.get(container);
      return box?.on === true && !this.#isCut(box) && command(box);
    };
    this.sent.push(hear);
    if (this.#loss === 0) throw new Lost();
    const done = hear();
    const seen = this.containers.get(container)?.fences.get(bot) ?? 0;
    if (!done && seen > (this.state.bots.get(bot)?.generation ?? seen)) this.change(overtake(bot, seen, this.now));
    return done;
  }

  #orLost<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      if (error instanceof Lost) return null;
      throw error;
    }
  }

  #newBot(location: Place): NewBot {
    return aBot(`b${++this.#ids}`, { location });
  }

  #readyIn(location: Place | null): string | undefined {
    const world = this.world();
    const ready = readyBots(world.state);
    const places = location === null ? Object.keys(TARGETS) : [location];
    return places
      .flatMap((place) => ready.get(`echo/${place}`) ?? [])
      .find((id) => {
        const bot = world.state.bots.get(id);
        return bot !== undefined && isFit(bot, deriveState(world, bot));
      });
  }

  #placeOf(bot: string): { readonly template: string; readonly location: string } {
    return { template: 'echo', location: this.state.bots.get(bot)?.location ?? 'local' };
  }

  #isCut({ record }: ModelContainer): boolean {
    return this.cut && poolLocation(record.pool) === 'weur';
  }

  #newTargets(): ReserveTargets {
    const settings = { target: 0, locationTargets: new Map(), min: 0, max: MOST, batchSize: 1, batchSpacingSeconds: 0 };
    const clock = { now: () => this.now, monotonic: () => this.now };
    const templates = new Map([['echo', TEMPLATE]]);
    return new ReserveTargets({
      templates,
      settings,
      locations: { all: Object.keys(TARGETS) },
      clock,
      random: () => 0,
    });
  }
}

class Lost extends Error {}

class ModelContainer {
  readonly record: ContainerRecord;
  on = true;
  silent = false;
  readonly bots = new Map<string, BotSpec & { readonly well: boolean }>();
  /** By bot, the lease that left it there. On the disk. */
  readonly dirt = new Map<string, string>();
  /** Highest generation per bot. On the disk. */
  readonly fences = new Map<string, number>();
  readonly #model: ReserveModel;

  constructor(record: ContainerRecord, model: ReserveModel) {
    this.record = record;
    this.#model = model;
  }

  /** supervisord starts empty. */
  start(): void {
    if (this.on) return;
    this.on = true;
    this.silent = false;
    this.bots.clear();
  }

  apply(spec: BotSpec): boolean {
    if ((this.fences.get(spec.bot) ?? 0) > spec.generation) return false;
    const other = [...this.bots.values()].find((bot) => bot.slot === spec.slot && bot.bot !== spec.bot);
    expect(other, `slot ${spec.slot} of ${this.record.name} given to two bots`).toBeUndefined();
    const before = this.bots.get(spec.bot);
    const restarted = before === undefined || !before.run || before.restartGeneration < spec.restartGeneration;
    this.bots.set(spec.bot, { ...spec, well: restarted ? this.#model.healthy : before.well });
    this.fences.set(spec.bot, spec.generation);
    return true;
  }

  /** From then on it refuses what is not newer. */
  remove(bot: string, generation: number): boolean {
    if ((this.fences.get(bot) ?? 0) > generation || this.bots.get(bot)?.run === true) return false;
    this.bots.delete(bot);
    this.dirt.delete(bot);
    this.fences.set(bot, generation + 0.5);
    return true;
  }

  reset(bot: string, generation: number, cleanable: boolean): 'clean' | 'failed' | 'stale' {
    if ((this.fences.get(bot) ?? 0) > generation || this.bots.get(bot)?.run === true) return 'stale';
    if (!cleanable) return 'failed';
    this.dirt.delete(bot);
    return 'clean';
  }

  observe(): ReturnType<typeof anAgent> {
    return anAgent([...this.bots.values()].map(seen), [...this.bots.keys()]);
  }
}

function seen(spec: BotSpec & { readonly well: boolean }): BotObservation {
  const state = !spec.run ? 'stopped' : spec.well ? 'running' : 'backoff';
  const { bot, generation, run, slot, port } = spec;
  return observedBot({ ...aBot(bot), generation }, { run, state, slot, port });
}
