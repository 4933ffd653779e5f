import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Desired } from '../../lib/domain/bot.ts';
import type { State } from '../../lib/domain/state.ts';
import { plan } from '../../lib/planner/plan.ts';
import { addBot, markDeleting, reviseBot, setDesired } from '../../lib/services/bot-container-mapper.ts';
import { beginMove, undoMove } from '../../lib/services/move-changes.ts';
import { aBot } from './builders.ts';
import { type Box, MoveModel } from './move-model.ts';

type Command =
  | { readonly do: 'move' | 'undo' | 'patch' | 'delete'; readonly bot: string }
  | { readonly do: 'desire'; readonly bot: string; readonly desired: Desired }
  | { readonly do: 'power' | 'silence' | 'speak' | 'refuse' | 'kill'; readonly box: number }
  | { readonly do: 'blind' | 'see' | 'late' | 'trade' | 'copy' | 'restore' }
  | { readonly do: 'pass'; readonly steps: number; readonly twice: boolean };

const bot = fc.constantFrom('a', 'b', 'c');
const one = (weight: number, arbitrary: fc.Arbitrary<Command>) => ({ weight, arbitrary });
const simple = (...kinds: ('blind' | 'see' | 'late' | 'trade')[]): fc.Arbitrary<Command> =>
  fc.record({ do: fc.constantFrom(...kinds) });

const usual = [
  one(4, fc.record({ do: fc.constant('move' as const), bot })),
  one(1, fc.record({ do: fc.constantFrom('undo' as const, 'patch' as const), bot })),
  one(
    1,
    fc.record({ do: fc.constant('desire' as const), bot, desired: fc.constantFrom<Desired>('running', 'stopped') }),
  ),
  one(
    3,
    fc.record({
      do: fc.constantFrom('power' as const, 'silence' as const, 'speak' as const, 'refuse' as const, 'kill' as const),
      box: fc.nat(2),
    }),
  ),
  one(2, simple('blind', 'see', 'late')),
  one(3, simple('trade')),
  one(
    14,
    fc.record({ do: fc.constant('pass' as const), steps: fc.oneof(fc.constant(99), fc.nat(3)), twice: fc.boolean() }),
  ),
];
const withDeletion = [...usual, one(1, fc.record({ do: fc.constant('delete' as const), bot }))];
const withCopies = [...usual, one(2, fc.record({ do: fc.constantFrom('copy' as const, 'restore' as const) }))];

/** Three bots that live and trade. */
function begun(): MoveModel {
  const model = new MoveModel();
  for (const id of ['a', 'b', 'c']) model.change(addBot(aBot(id)));
  for (let round = 0; round < 6; round++) model.pass(99, false);
  model.trade();
  return model;
}

function disturb(box: Box | undefined, what: string): void {
  if (box === undefined) return;
  if (what === 'power') box.on = false;
  if (what === 'silence') box.silent = true;
  if (what === 'speak') box.silent = false;
  if (what === 'refuse') box.refuses = !box.refuses;
  if (what === 'kill') box.deadly = !box.deadly;
}

/** Every bot directory there is belongs to a bot that is known there: nothing was switched off since. */
const isPlain = (model: MoveModel): boolean =>
  model.listable && [...model.boxes.values()].every((box) => box.on && !box.silent && box.bots.size === box.data.size);

class Run {
  readonly model = begun();
  #copy: State | null = null;

  do(command: Command): void {
    const { model } = this;
    switch (command.do) {
      case 'move':
        model.change(beginMove(command.bot, { kind: 'pool' }, { kind: 'request' }, model.now));
        return;
      case 'undo':
        model.change(undoMove(command.bot, 'asked', model.now));
        return;
      case 'patch':
        model.change(reviseBot(command.bot, () => ({ env: { A: String(model.state.generation) } }), true));
        return;
      case 'delete':
        model.change(markDeleting(command.bot));
        return;
      case 'desire':
        model.change(setDesired(command.bot, command.desired));
        return;
      case 'blind':
      case 'see':
        model.listable = command.do === 'see';
        return;
      case 'late':
        model.now += 1_000_000;
        return;
      case 'trade':
        model.trade();
        return;
      case 'copy':
        this.#copy = model.state;
        return;
      case 'restore':
        if (this.#copy === null || !isPlain(model)) return;
        // The orchestrator was down for it: its first pass comes before anybody can ask for anything.
        model.state = this.#copy;
        model.pass(99, false);
        return;
      case 'pass':
        model.pass(command.steps, command.twice);
        return;
      default:
        this.#disturb([...model.boxes.values()][command.box], command.do);
    }
  }

  /** Nobody starts a container that the store has forgotten. */
  #disturb(box: Box | undefined, what: string): void {
    if (what !== 'power' || (box !== undefined && box.record.name in this.model.state.containers)) disturb(box, what);
  }

  check(): void {
    const { model } = this;
    const alive = model.alive();
    expect(new Set(alive).size, `alive: ${alive}`).toBe(alive.length);
    const seats = model.state.bots.records.flatMap(({ placement, move }) =>
      [placement, move?.other?.placement].flatMap((place) => (place ? [`${place.container}/${place.slot}`] : [])),
    );
    expect(new Set(seats).size, 'a slot kept twice').toBe(seats.length);
    const held = [...model.boxes.values()].flatMap(({ data }) => [...data.values()]);
    const somewhere = new Set([...held, ...model.carried.values(), ...model.kept].flat());
    expect(
      model.made.filter((_, trade) => !somewhere.has(trade)),
      'trades that are nowhere',
    ).toEqual([]);
  }

  /** All is well again, and passes go on until nothing is left to do. */
  calm(): void {
    const { model } = this;
    model.listable = true;
    for (const box of model.boxes.values()) {
      box.silent = false;
      box.refuses = false;
      box.deadly = false;
    }
    for (let round = 0; round < 80; round++) {
      // What waits for something that does not come is taken back.
      if (round === 20 || round === 40) model.now += 1_000_000;
      model.pass(99, false);
      this.check();
    }
    expect(plan(model.world()).steps).toEqual([]);
  }

  /** Every move is over, one way or the other; every bot has all it ever made, and no `leftovers` are elsewhere. */
  expectHome(leftovers: 'none' | 'some'): void {
    const { model } = this;
    for (const { instanceId, move, placement, desired } of model.state.bots.records) {
      expect(move, `${instanceId} is on its way for ever`).toBeNull();
      const places = [...model.boxes.values()].filter(({ data }) => data.has(instanceId));
      if (leftovers === 'none') expect(places.map(({ record }) => record.name)).toEqual([placement?.container]);
      const home = places.find(({ record }) => record.name === placement?.container);
      const own = model.made.flatMap((who, trade) => (who === instanceId ? [trade] : []));
      expect(home?.data.get(instanceId)).toEqual(own);
      expect(model.alive().includes(instanceId)).toBe(desired === 'running');
    }
    const archived = new Set(model.kept.flat());
    const gone = (who: string): boolean => !model.state.bots.has(who);
    expect(model.made.filter((who, trade) => gone(who) && !archived.has(trade))).toEqual([]);
  }
}

function hold(
  commands: readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<Command> }[],
  numRuns: number,
  leftovers: 'none' | 'some' = 'none',
) {
  fc.assert(
    fc.property(fc.array(fc.oneof(...commands), { minLength: 20, maxLength: 150 }), (sequence) => {
      const run = new Run();
      for (const command of sequence) {
        run.do(command);
        run.check();
      }
      run.calm();
      run.expectHome(leftovers);
    }),
    { numRuns },
  );
}

describe('bots that move, whatever happens', () => {
  it('never live twice, lose nothing, and are home in the end, there or back', () => hold(usual, 600), 60_000);

  it('are archived with all they made when they are deleted on the way', () => hold(withDeletion, 400), 60_000);

  // A dead copy of it may be left where the store no longer knows it was; cleanup tells.
  it('stay so when an older copy of the store is brought back', () => hold(withCopies, 600, 'some'), 60_000);
});
