import type { BotRecord } from '../../lib/domain/bot.ts';
import type { State } from '../../lib/domain/state.ts';
import type { Step } from '../../lib/domain/steps.ts';
import type { LeaseRule } from '../../lib/domain/template.ts';
import type { UpgradeAction } from '../../lib/domain/upgrade.ts';
import { planEmptying } from '../../lib/planner/emptying.ts';
import { planRefill } from '../../lib/planner/refill.ts';
import { Rooms } from '../../lib/planner/rooms.ts';
import type { World } from '../../lib/planner/world.ts';
import { addContainer, assignBot, markRemoving } from '../../lib/services/bot-container-mapper.ts';
import {
  beginCarrying,
  beginMove,
  claimPlace,
  crossOver,
  finishMove,
  leave,
  noteArrived,
  noteCarried,
  noteProven,
  undoMove,
} from '../../lib/services/move-changes.ts';
import { addReserve, admitReady, discardBot } from '../../lib/services/reserve-changes.ts';
import {
  beginConsolidation,
  changeUpgrade,
  drain,
  endConsolidation,
  endUpgrade,
  startUpgrade,
  undoDrain,
} from '../../lib/services/upgrade-changes.ts';
import { aBot, anAgent, aTemplate, aWorld, NOW, observedBot, observedContainer } from './builders.ts';
import { StateModel } from './state-model.ts';

export const RESERVE = { target: 3, min: 2 } as const;

export interface Settings {
  readonly surge: number;
  readonly spacingSeconds: number;
  readonly failureBudget: number;
  readonly max: number;
}

/**
 * A pool with nothing below it: moves come to their ends, or fail, as a test says, and warm bots get ready. All else is done by
 * the real plans and changes.
 */
export class UpgradeModel extends StateModel {
  now = NOW;
  readonly settings: Settings;
  /** Most bots of the upgrade that were on their way at once. */
  mostOnTheirWay = 0;
  /** Ready bots, at the least. */
  fewestReady = Number.POSITIVE_INFINITY;
  readonly begun: number[] = [];
  #made = 0;

  constructor(state: State, settings: Settings) {
    super(state);
    this.settings = settings;
  }

  start(): void {
    const { surge, spacingSeconds, failureBudget } = this.settings;
    const order = { template: 'echo', image: 'next', surge, spacingSeconds, failureBudget, holdSeconds: null };
    this.change(startUpgrade(order, this.now));
  }

  act(action: UpgradeAction): void {
    this.change(changeUpgrade('echo', action, this.now));
  }

  drain(index: number): void {
    const names = Object.keys(this.state.containers);
    this.change(drain(names[index % names.length] ?? '', { surge: 1, force: false }, this.now));
  }

  undoDrains(): void {
    for (const name of Object.keys(this.state.containers)) this.change(undoDrain(name, this.now));
  }

  /** What the plan says now is done, and measured. */
  pass(): void {
    const world = this.world();
    const rooms = new Rooms(world);
    for (const step of [...planEmptying(world, rooms).steps, ...planRefill(world).steps]) this.#perform(step);
    this.#place();
    this.#measure();
  }

  /** One bot on its way, or warming, or going, gets on by one phase. */
  advance(pick: number): void {
    const busy = this.state.bots.records.filter(
      ({ move, reserve, deleting }) => move !== null || deleting || reserve?.phase === 'warming',
    );
    const bot = busy[pick % Math.max(1, busy.length)];
    if (bot !== undefined) this.#advance(bot);
    this.#measure();
  }

  fail(pick: number): void {
    const moving = this.state.bots.records.filter(
      ({ move }) => move !== null && move.undone === null && move.phase !== 'clearing',
    );
    const bot = moving[pick % Math.max(1, moving.length)];
    if (bot !== undefined) this.change(undoMove(bot.instanceId, 'as the test wants', this.now));
    this.#measure();
  }

  world(): World {
    const { state } = this;
    const containers = Object.values(state.containers).filter(({ removing }) => !removing);
    const seen = (name: string) =>
      anAgent(
        state.bots.records
          .filter(({ placement }) => placement?.container === name)
          .map((bot) => observedBot(bot, { run: true })),
      );
    const waiting = state.bots.records.filter(({ reserve, deleting }) => reserve !== null && !deleting);
    return aWorld({
      now: this.now,
      monotonic: this.now,
      leaseClock: this.now,
      state,
      templates: new Map([['echo', aTemplate({ lease: LEASED })]]),
      listing: { kind: 'seen', value: new Map(containers.map((record) => [record.name, observedContainer(record)])) },
      agents: new Map(containers.map(({ name }) => [name, { kind: 'seen', value: seen(name) }])),
      reserves:
        waiting.length === 0
          ? new Map()
          : new Map([
              [
                'echo/local',
                {
                  template: 'echo',
                  location: 'local',
                  ...RESERVE,
                  max: this.settings.max,
                  batchSize: 2,
                  notBefore: 0,
                  why: '',
                  refilling: true,
                },
              ],
            ]),
    });
  }

  // Private

  #perform(step: Step): void {
    switch (step.kind) {
      case 'recordContainer':
        this.change(addContainer(step.container));
        break;
      case 'beginMove':
        this.begun.push(this.now);
        this.change(beginMove(step.bot, step.to, step.cause, this.now));
        break;
      case 'retireContainer':
        this.change(markRemoving(step.container));
        break;
      case 'endUpgrade':
        this.change(endUpgrade(step.template, this.now));
        break;
      case 'consolidate':
        this.change(beginConsolidation(step.container, this.now));
        break;
      case 'reopenContainer':
        this.change(endConsolidation(step.container));
        break;
      case 'discardBot':
        this.change(discardBot(step.bot, this.now));
        break;
      case 'addReserve': {
        const bots = Array.from({ length: step.count }, () => aBot(`warm-${this.#made++}`));
        this.change(addReserve(step, bots, { target: step.target, most: this.settings.max }, this.now));
        break;
      }
      default:
        throw new Error(`unexpected ${step.kind}`);
    }
  }

  #place(): void {
    for (const bot of this.state.bots.records) {
      const isToClaim = bot.move?.phase === 'preparing' && bot.move.other === null;
      if (bot.placement !== null && !isToClaim) continue;
      const search = new Rooms(this.world()).find(bot, bot.move?.to ?? { kind: 'pool' });
      if (search.kind !== 'found') continue;
      for (const step of search.steps) this.#perform(step);
      const claim = { bot: bot.instanceId, placement: search.placement };
      this.change(isToClaim ? claimPlace(claim, this.now) : assignBot(claim.bot, claim.placement));
    }
  }

  #advance(bot: BotRecord): void {
    const { instanceId: id, move } = bot;
    if (bot.deleting) this.state = { ...this.state, bots: this.state.bots.drop(id) };
    else if (move === null) this.change(admitReady(id, this.now));
    else if (move.phase === 'preparing') this.change(leave(id, {}, this.now));
    else if (move.phase === 'leaving') this.change(beginCarrying(id, this.now));
    else if (move.phase === 'carrying' && move.archive === null) this.change(noteCarried(id, bot.generation, 'a'));
    else if (move.phase === 'carrying') this.change(crossOver(id, bot.generation, this.now));
    else if (move.phase === 'arriving') this.change(noteArrived(id, this.now));
    else if (move.phase === 'proving') this.change(noteProven(id, this.now));
    else this.change(finishMove(id, move.other?.placement.container ?? ''));
  }

  #measure(): void {
    const { records } = this.state.bots;
    const away = records.filter(({ move }) => move?.cause.kind === 'upgrade').length;
    this.mostOnTheirWay = Math.max(this.mostOnTheirWay, away);
    const warm = records.filter(({ reserve }) => reserve !== null);
    const ready = warm.filter(({ reserve, deleting }) => reserve?.phase === 'ready' && !deleting).length;
    if (warm.length > 0) this.fewestReady = Math.min(this.fewestReady, ready);
  }
}

const LEASED: LeaseRule = {
  ttlSeconds: 60,
  maxTtlSeconds: 600,
  perOwner: null,
  access: {},
  reserve: { target: null, locations: {}, min: null, batchSize: null, batchSpacingSeconds: null, windows: [] },
  reset: { steps: [], verify: [] },
};
