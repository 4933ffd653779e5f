import { expect } from 'vitest';
import type { BotSpec } from '../../lib/domain/agent.ts';
import { generationAt } from '../../lib/domain/bot.ts';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import type { Step } from '../../lib/domain/steps.ts';
import { plan } from '../../lib/planner/plan.ts';
import type { World } from '../../lib/planner/world.ts';
import {
  addContainer,
  assignBot,
  enterContainer,
  forgetBot,
  forgetContainer,
  markRemoving,
  noteOnBot,
  raiseGeneration,
} from '../../lib/services/bot-container-mapper.ts';
import {
  beginCarrying,
  carryAgain,
  claimPlace,
  crossOver,
  finishMove,
  followNewest,
  leave,
  noteArrived,
  noteCarried,
  noteProven,
  undoMove,
} from '../../lib/services/move-changes.ts';
import { overtake } from '../../lib/services/reserve-changes.ts';
import { aBot, anAgent, aTemplate, aWorld, NOW, observedBot, observedContainer } from './builders.ts';
import { StateModel } from './state-model.ts';

/** What a bot has done: every trade it ever made there, by number. */
type Trades = readonly number[];

const FACTS = { trades: { kind: 'sum', from: [{ path: '/', pointer: '/total', take: 'value' }] } } as const;

/** A store, containers with fences and data, and bots that trade while they live. Containers fail, fall silent, refuse and come back. */
export class MoveModel extends StateModel {
  now = NOW;
  listable = true;
  readonly boxes = new Map<string, Box>();
  /** On the orchestrator's disk. */
  readonly carried = new Map<string, Trades>();
  /** Kept for ever: archives of deleted bots, and what a bot that came back took the place of. */
  readonly kept: Trades[] = [];
  /** By number: who made each trade. */
  readonly made: string[] = [];
  #archives = 0;

  world(): World {
    const boxes = [...this.boxes.values()];
    const templates = new Map([['echo', aTemplate({ move: { deadlineSeconds: 60, headers: {}, facts: FACTS } })]]);
    return aWorld({
      now: this.now,
      leaseClock: this.now,
      state: this.state,
      templates,
      listing: this.listable
        ? {
            kind: 'seen',
            value: new Map(
              boxes.map(({ record, on }) => [record.name, observedContainer(record, on ? 'running' : 'stopped')]),
            ),
          }
        : { kind: 'unknown', reason: 'no answer' },
      agents: new Map(
        boxes
          .filter(({ on }) => on)
          .map((box) => [
            box.record.name,
            box.silent ? { kind: 'unknown', reason: 'silent' } : { kind: 'seen', value: box.observe() },
          ]),
      ),
    });
  }

  /** One pass; only the first steps of it, and each twice where that is asked. */
  pass(steps: number, twice: boolean): void {
    for (const step of plan(this.world()).steps.slice(0, steps)) {
      this.apply(step);
      if (twice) this.apply(step);
    }
  }

  /** Every living bot makes a trade. */
  trade(): void {
    for (const box of this.boxes.values()) {
      for (const { bot } of box.alive()) {
        box.data.set(bot, [...(box.data.get(bot) ?? []), this.made.length]);
        this.made.push(bot);
      }
    }
  }

  /** Bots with a living process, once per process. */
  alive(): string[] {
    return [...this.boxes.values()].flatMap((box) => box.alive().map(({ bot }) => bot));
  }

  apply(step: Step): void {
    switch (step.kind) {
      case 'recordContainer':
        this.change(addContainer(step.container));
        return;
      case 'assign':
        this.change(assignBot(step.bot, step.placement));
        return;
      case 'createContainer':
        if (!this.boxes.has(step.container.name)) this.boxes.set(step.container.name, new Box(step.container));
        return;
      case 'startContainer':
        this.boxes.get(step.container)?.start();
        return;
      case 'applyBot': {
        const record = this.state.bots.get(step.spec.bot);
        if (record === undefined || generationAt(record, step.container) !== step.spec.generation) return;
        this.change(enterContainer(step.container, step.spec.bot, step.spec.generation));
        this.#fenced(step.container, step.spec.bot, (box) => box.apply(step.spec), step.blind);
        return;
      }
      case 'archiveBot': {
        const box = this.#open(step.container);
        if (box === null || box.alive().some(({ bot }) => bot === step.bot)) return;
        this.kept.push(box.data.get(step.bot) ?? []);
        this.change(noteOnBot(step.bot, { archive: 'archive' }));
        return;
      }
      case 'removeBot':
        if (this.#fenced(step.container, step.bot, (box) => box.remove(step.bot, step.generation)))
          this.change(forgetBot(step.bot));
        return;
      case 'forgetBot':
        this.change(forgetBot(step.bot));
        return;
      case 'removeContainer':
        this.boxes.delete(step.container);
        return;
      case 'retireContainer':
        this.change(markRemoving(step.container));
        return;
      case 'forgetContainer':
        this.change(forgetContainer(step.container));
        return;
      default:
        this.#move(step);
    }
  }

  // Private

  #move(step: Step): void {
    const { now } = this;
    switch (step.kind) {
      case 'claimPlace':
        this.change(claimPlace(step, now));
        return;
      case 'askBot': {
        const trades = this.#tradesOf(step.bot);
        if (trades !== null) this.change(leave(step.bot, { trades: String(trades.length) }, now));
        return;
      }
      case 'leavePlace':
        this.change(leave(step.bot, step.well ? {} : null, now));
        return;
      case 'beginCarrying':
        this.change(beginCarrying(step.bot, now));
        return;
      case 'carryBot': {
        const data = this.#open(step.container)?.data.get(step.bot);
        if (data === undefined) return;
        const id = `archive-${++this.#archives}`;
        this.carried.set(id, data);
        this.change(noteCarried(step.bot, step.generation, id));
        return;
      }
      case 'crossOver':
        this.change(crossOver(step.bot, step.generation, now));
        return;
      case 'arriveBot':
        this.#arrive(step.container, step.bot, step.generation);
        return;
      case 'proveBot': {
        const trades = this.#tradesOf(step.bot)?.length ?? -1;
        const before = Number(this.state.bots.get(step.bot)?.move?.facts?.trades ?? 0);
        if (trades >= before) this.change(noteProven(step.bot, now));
        return;
      }
      case 'takeForProven':
        this.change(noteProven(step.bot, now));
        return;
      case 'undoMove':
        this.change(undoMove(step.bot, step.why, now));
        return;
      case 'clearPlace':
        if (this.#open(step.container)?.remove(step.bot, step.generation))
          this.change(finishMove(step.bot, step.container));
        return;
      case 'endMove':
        this.change(finishMove(step.bot, step.container));
        return;
      case 'raiseGeneration':
        this.change(raiseGeneration(step.to));
        return;
      case 'followNewest':
        this.change(followNewest(step, step, now));
        return;
      default:
        return;
    }
  }

  #open(container: string): Box | null {
    const box = this.boxes.get(container);
    return box?.on === true && !box.silent ? box : null;
  }

  #fenced(container: string, bot: string, work: (box: Box) => boolean, blind: string | null = null): boolean {
    const box = this.#open(container);
    if (box === null) return false;
    if (work(box)) return true;
    if (blind === null) this.change(overtake(bot, box.fences.get(bot)?.generation ?? 0, this.now));
    return false;
  }

  #tradesOf(bot: string): Trades | null {
    const box = this.#open(this.state.bots.get(bot)?.placement?.container ?? '');
    return box?.alive().some((spec) => spec.bot === bot) ? (box.data.get(bot) ?? null) : null;
  }

  #arrive(container: string, bot: string, generation: number): void {
    const record = this.state.bots.get(bot);
    const box = this.#open(container);
    const { move } = record ?? {};
    if (box === null || record === undefined || !move || move.phase !== 'arriving') return;
    if (record.generation !== generation + 1) return;
    const data = this.carried.get(move.archive ?? '');
    if (data === undefined) {
      this.change(carryAgain(bot, this.now));
      return;
    }
    if (box.refuses && move.undone === null) {
      this.change(undoMove(bot, 'refused', this.now));
      return;
    }
    if ((box.fences.get(bot)?.generation ?? 0) > generation) return;
    expect(box.alive().map((spec) => spec.bot)).not.toContain(bot);
    if (move.undone !== null) this.kept.push(box.data.get(bot) ?? []);
    box.data.set(bot, data);
    this.change(noteArrived(bot, this.now));
  }
}

/** One container: fences and data outlive its power, processes do not. */
export class Box {
  readonly record: ContainerRecord;
  on = true;
  silent = false;
  /** Archives that arrive. */
  refuses = false;
  /** Bots die here again and again. */
  deadly = false;
  readonly bots = new Map<string, BotSpec>();
  readonly data = new Map<string, Trades>();
  readonly fences = new Map<
    string,
    { readonly generation: number; readonly removed: boolean; readonly slot: number }
  >();

  constructor(record: ContainerRecord) {
    this.record = record;
  }

  start(): void {
    if (this.on) return;
    this.on = true;
    this.silent = false;
    this.bots.clear();
  }

  alive(): BotSpec[] {
    return this.on ? [...this.bots.values()].filter(({ run }) => run) : [];
  }

  /** False: it is overtaken. Nothing happens in a slot that is another's. */
  apply(spec: BotSpec): boolean {
    const seen = this.fences.get(spec.bot) ?? { generation: 0, removed: false };
    if (spec.generation < seen.generation || (seen.removed && spec.generation === seen.generation)) return false;
    // As the plugin refuses it: an older copy of the store may give a slot to two bots.
    if ([...this.bots.values()].some(({ slot, bot }) => slot === spec.slot && bot !== spec.bot)) return true;
    this.fences.set(spec.bot, { generation: spec.generation, removed: false, slot: spec.slot });
    this.bots.set(spec.bot, spec);
    if (!this.data.has(spec.bot)) this.data.set(spec.bot, []);
    return true;
  }

  remove(bot: string, generation: number): boolean {
    if (generation < (this.fences.get(bot)?.generation ?? 0)) return false;
    expect(this.bots.get(bot)?.run ?? false, `${bot} removed while alive`).toBe(false);
    this.fences.set(bot, { generation, removed: true, slot: 0 });
    this.bots.delete(bot);
    this.data.delete(bot);
    return true;
  }

  observe(): ReturnType<typeof anAgent> {
    const bots = [...this.bots.values()].map((spec) => {
      const record = { ...aBot(spec.bot), generation: spec.generation };
      const state = spec.run ? (this.deadly ? 'backoff' : 'running') : 'stopped';
      const { run, slot, port } = spec;
      return observedBot(record, { run, state, slot, port, restarts: this.deadly && run ? 5 : 0 });
    });
    const dormant = [...this.fences].flatMap(([bot, { generation, removed, slot }]) =>
      removed || this.bots.has(bot) ? [] : [{ bot, slot, generation }],
    );
    return { ...anAgent(bots, [...this.data.keys()]), dormant };
  }
}
