import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { State } from '../../lib/domain/state.ts';
import {
  addBot,
  addContainer,
  assignBot,
  forgetBot,
  forgetContainer,
  markDeleting,
  markRemoving,
  overtakeGeneration,
  reviseBot,
  setDesired,
} from '../../lib/services/bot-container-mapper.ts';
import type { Change } from '../../lib/store/store.ts';
import { aBot, aContainer, aState, inSlot } from '../planner/builders.ts';

const box = aContainer('bunkhouse-echo-1');
const placed = aBot('a', { placement: inSlot(box, 0) });

function codeOf(state: State, change: Change<unknown>): string {
  try {
    change(state);
    return 'done';
  } catch (error) {
    return error instanceof BunkhouseError ? error.code : String(error);
  }
}

describe('changes of bots and containers', () => {
  it.each<{ desc: string; state: State; change: Change<unknown>; want: string }>([
    { desc: 'a bot with a taken id', state: aState([placed]), change: addBot(aBot('a')), want: 'CONFLICT' },
    {
      desc: 'a bot that shares a name with a property of every object',
      state: aState([]),
      change: addBot(aBot('constructor')),
      want: 'done',
    },
    {
      desc: 'a claim of a free slot',
      state: aState([placed, aBot('b')], [box]),
      change: assignBot('b', { container: box.name, slot: 1, port: 9001 }),
      want: 'done',
    },
    {
      desc: 'a claim of a taken slot',
      state: aState([placed, aBot('b')], [box]),
      change: assignBot('b', { container: box.name, slot: 0, port: 9000 }),
      want: 'CONFLICT',
    },
    {
      desc: 'a claim beyond the last slot',
      state: aState([aBot('b')], [box]),
      change: assignBot('b', { container: box.name, slot: 3, port: 9003 }),
      want: 'CONFLICT',
    },
    {
      desc: 'a second claim for one bot',
      state: aState([placed], [box]),
      change: assignBot('a', { container: box.name, slot: 1, port: 9001 }),
      want: 'CONFLICT',
    },
    {
      desc: 'a claim in a container on its way out',
      state: aState([aBot('b')], [{ ...box, removing: true }]),
      change: assignBot('b', { container: box.name, slot: 1, port: 9001 }),
      want: 'CONFLICT',
    },
    {
      desc: "a claim in another bot's own container",
      state: aState([aBot('b')], [{ ...box, soleBot: 'a' }]),
      change: assignBot('b', { container: box.name, slot: 1, port: 9001 }),
      want: 'CONFLICT',
    },
    {
      desc: 'a claim in a container of another pool',
      state: aState([aBot('b', { group: 'other' })], [box]),
      change: assignBot('b', { container: box.name, slot: 1, port: 9001 }),
      want: 'CONFLICT',
    },
    {
      desc: 'a claim in a container nobody recorded',
      state: aState([aBot('b')]),
      change: assignBot('b', { container: box.name, slot: 1, port: 9001 }),
      want: 'NOT_FOUND',
    },
    {
      desc: 'a change of a bot that is being deleted',
      state: aState([{ ...placed, deleting: true }]),
      change: reviseBot('a', () => ({}), true),
      want: 'CONFLICT',
    },
    {
      desc: 'a wish for a bot that is being deleted',
      state: aState([{ ...placed, deleting: true }]),
      change: setDesired('a', 'running'),
      want: 'CONFLICT',
    },
    {
      desc: 'a second deletion',
      state: aState([{ ...placed, deleting: true }]),
      change: markDeleting('a'),
      want: 'done',
    },
    { desc: 'forgetting a bot nobody deleted', state: aState([placed]), change: forgetBot('a'), want: 'CONFLICT' },
    {
      desc: 'removing a container with a bot',
      state: aState([placed], [box]),
      change: markRemoving(box.name),
      want: 'CONFLICT',
    },
    {
      desc: 'forgetting a container nobody removed',
      state: aState([], [box]),
      change: forgetContainer(box.name),
      want: 'CONFLICT',
    },
    {
      desc: 'a container with a taken name',
      state: aState([], [box]),
      change: addContainer({ ...box, basePort: 9100 }),
      want: 'CONFLICT',
    },
    {
      desc: 'a container with a taken port',
      state: aState([], [box]),
      change: addContainer({ ...box, name: 'other', basePort: 9002 }),
      want: 'CONFLICT',
    },
    { desc: 'a bot nobody knows', state: aState([]), change: setDesired('nobody', 'running'), want: 'NOT_FOUND' },
  ])('$desc: $want', ({ state, change, want }) => {
    expect(codeOf(state, change)).toBe(want);
  });

  it('gives every change the container must hear of a higher generation', () => {
    const state = aState([placed], [box]);
    const first = reviseBot('a', () => ({}), false)(state);
    const second = reviseBot('a', () => ({}), true)(first.state);
    expect(first.result).toMatchObject({ generation: 101, restartGeneration: 1 });
    expect(second.result).toMatchObject({ generation: 102, restartGeneration: 102 });
  });

  it('changes nothing when the wish is the same', () => {
    const state = aState([placed]);
    expect(setDesired('a', 'running')(state)).toMatchObject({ state, result: { changed: false } });
  });

  it('goes above a generation a container has seen, also when the store was set back', () => {
    const { state } = overtakeGeneration('a', 5000)(aState([placed]));
    expect(state.bots.get('a')?.generation).toBe(5001);
    expect(state.generation).toBe(5001);
  });

  it('never claims a slot twice, in whatever order claims come', () => {
    const claim = fc.record({ bot: fc.constantFrom('a', 'b', 'c', 'd', 'e'), slot: fc.integer({ min: 0, max: 3 }) });
    fc.assert(
      fc.property(fc.array(claim, { maxLength: 20 }), (claims) => {
        let state = aState(
          ['a', 'b', 'c', 'd', 'e'].map((id) => aBot(id)),
          [box],
        );
        for (const { bot, slot } of claims) {
          const change = assignBot(bot, { container: box.name, slot, port: box.basePort + slot });
          if (codeOf(state, change) === 'done') state = change(state).state;
        }
        const slots = state.bots.records.flatMap(({ placement }) => (placement === null ? [] : [placement.slot]));
        expect(new Set(slots).size).toBe(slots.length);
        expect(slots.every((slot) => slot < box.capacity)).toBe(true);
      }),
    );
  });
});
