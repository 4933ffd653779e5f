import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { State } from '../../lib/domain/state.ts';
import { claimsByContainer } from '../../lib/planner/claims.ts';
import { aMember } from '../services/lease-records.ts';
import { aBot, aContainer, aState, inSlot } from './builders.ts';
import { RESERVE, type Settings, UpgradeModel } from './upgrade-model.ts';

const box = (number: number) => aContainer(`box-${number}`, { basePort: 9000 + 3 * number, generation: 1 + number });

/** So many bots in containers of three slots, then warm ones that are ready. */
function stateOf(bots: number, warm: number): State {
  const place = (index: number): BotRecord['placement'] => inSlot(box(Math.floor(index / 3)), index % 3);
  const ordinary = Array.from({ length: bots }, (_, n) => aBot(`bot-${n}`, { placement: place(n) }));
  const ready = Array.from({ length: warm }, (_, n) => aMember(`old-${n}`, 'ready', { placement: place(bots + n) }));
  const boxes = Array.from({ length: Math.ceil((bots + warm) / 3) }, (_, n) => box(n));
  return aState([...ordinary, ...ready], boxes);
}

const settings: fc.Arbitrary<Settings> = fc.record({
  surge: fc.integer({ min: 1, max: 4 }),
  spacingSeconds: fc.constantFrom(0, 1, 7),
  failureBudget: fc.integer({ min: 0, max: 3 }),
  max: fc.constantFrom(RESERVE.target, RESERVE.target + 1, 99),
});

type Event = {
  readonly kind: 'pass' | 'second' | 'advance' | 'fail' | 'pause' | 'resume' | 'drain' | 'undo';
  readonly pick: number;
};

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.record({
    kind: fc.oneof(
      { weight: 6, arbitrary: fc.constant('pass' as const) },
      { weight: 2, arbitrary: fc.constant('second' as const) },
      { weight: 12, arbitrary: fc.constant('advance' as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          'fail' as const,
          'pause' as const,
          'resume' as const,
          'drain' as const,
          'undo' as const,
        ),
      },
    ),
    pick: fc.nat(99),
  }),
  { maxLength: 120 },
);

function play(model: UpgradeModel, { kind, pick }: Event): void {
  if (kind === 'pass') model.pass();
  else if (kind === 'second') model.now += 1000;
  else if (kind === 'advance') model.advance(pick);
  else if (kind === 'fail') model.fail(pick);
  else if (kind === 'drain') model.drain(pick);
  else if (kind === 'undo') model.undoDrains();
  else model.act(kind);
}

/** Nothing else goes wrong from here on; what failed is resumed. */
function toTheEnd(model: UpgradeModel): void {
  for (let round = 0; round < 600; round++) {
    if (upgradeOf(model).status === 'done' && model.state.bots.records.every(({ move }) => move === null)) return;
    model.act('resume');
    model.pass();
    for (let pick = 0; pick < 12; pick++) model.advance(pick);
    model.now += 1000;
  }
}

const upgradeOf = (model: UpgradeModel) => model.state.upgrades.echo as NonNullable<State['upgrades'][string]>;

describe('an upgrade, whatever happens meanwhile', () => {
  const world = fc.record({ bots: fc.nat(11), warm: fc.constantFrom(0, RESERVE.target), settings, events });

  it('never has more on the way than may be, nor begins faster, and never spends more than its budget', () => {
    fc.assert(
      fc.property(world, (given) => {
        const model = new UpgradeModel(stateOf(given.bots, given.warm), given.settings);
        model.start();
        for (const event of given.events) {
          play(model, event);
          const { status, failures, failureBudget } = upgradeOf(model);
          if (failures.length > failureBudget) expect(status).toBe('failed');
        }
        expect(model.mostOnTheirWay).toBeLessThanOrEqual(given.settings.surge);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps its pace', () => {
    fc.assert(
      fc.property(world, (given) => {
        const model = new UpgradeModel(stateOf(given.bots, 0), given.settings);
        model.start();
        for (const event of given.events.filter(({ kind }) => kind !== 'drain')) play(model, event);
        const gaps = model.begun.slice(1).map((at, index) => at - (model.begun[index] ?? 0));
        for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(given.settings.spacingSeconds * 1000);
      }),
      { numRuns: 200 },
    );
  });

  it('ends with every bot in a new container and the old ones empty, also after failures spent its budget and it was resumed', () => {
    fc.assert(
      fc.property(world, (given) => {
        const roomy = { ...given.settings, max: 99 };
        const model = new UpgradeModel(stateOf(given.bots, given.warm), roomy);
        model.start();
        for (const event of given.events) play(model, event);
        model.undoDrains();
        toTheEnd(model);
        const { status, generation } = upgradeOf(model);
        expect(status).toBe('done');
        const claims = claimsByContainer(model.state);
        for (const container of Object.values(model.state.containers)) {
          if (container.generation >= generation) expect(container.image).toBe('next');
          else expect(claims.get(container.name) ?? []).toEqual([]);
        }
        const ordinary = model.state.bots.records.filter(({ reserve }) => reserve === null);
        expect(ordinary).toHaveLength(given.bots);
        const slots = model.state.bots.records.map(({ placement }) => `${placement?.container}/${placement?.slot}`);
        expect(new Set(slots).size).toBe(slots.length);
      }),
      { numRuns: 200 },
    );
  });

  it('never leaves fewer ready than the minimum, and makes as many anew in new containers', () => {
    fc.assert(
      fc.property(world, (given) => {
        const model = new UpgradeModel(stateOf(given.bots, RESERVE.target), given.settings);
        model.start();
        for (const event of given.events.filter(({ kind }) => kind !== 'drain')) play(model, event);
        toTheEnd(model);
        expect(model.fewestReady).toBeGreaterThanOrEqual(RESERVE.min);
        expect(upgradeOf(model).status).toBe('done');
        const warm = model.state.bots.records.filter(({ reserve, deleting }) => reserve !== null && !deleting);
        expect(warm).toHaveLength(RESERVE.target);
      }),
      { numRuns: 200 },
    );
  });

  it('when aborted, leaves everybody where they are and the old containers open', () => {
    fc.assert(
      fc.property(world, (given) => {
        const model = new UpgradeModel(stateOf(given.bots, 0), given.settings);
        model.start();
        for (const event of given.events.filter(({ kind }) => kind !== 'drain')) play(model, event);
        if (upgradeOf(model).endedAt !== null) return;
        model.act('abort');
        const { moved } = upgradeOf(model);
        for (let round = 0; round < 40; round++) {
          model.pass();
          for (let pick = 0; pick < 12; pick++) model.advance(pick);
        }
        expect(upgradeOf(model).status).toBe('aborted');
        expect(upgradeOf(model).moved).toBeLessThanOrEqual(moved + given.settings.surge);
        const open = Object.values(model.state.containers).filter(({ removing }) => !removing);
        expect(open.every(({ emptying }) => emptying === null)).toBe(true);
        expect(model.state.bots.records.every(({ move, placement }) => move === null && placement !== null)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
