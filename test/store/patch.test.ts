import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyState, type State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { applyPatches, type Document, diffState, isEmpty } from '../../lib/store/patch.ts';
import { anyState } from './arbitrary.ts';

describe('patch', () => {
  it('brings any state to any other, also after a way through JSON', () => {
    fc.assert(
      fc.property(anyState, anyState, (before, after) => {
        const patch = JSON.parse(JSON.stringify(diffState(before, after)));
        expect(applyPatches(plain(before), [patch])).toEqual(plain(after));
      }),
    );
  });

  it('through several states is the same as one after the other', () => {
    fc.assert(
      fc.property(fc.array(anyState, { minLength: 2, maxLength: 6 }), (states) => {
        const patches = states.slice(1).map((state, n) => diffState(states[n] as typeof state, state));
        expect(applyPatches(plain(states[0]), patches)).toEqual(plain(states.at(-1)));
      }),
    );
  });

  it('holds only the records that are others', () => {
    const a = reply('1');
    const before = { ...emptyState('i'), replies: Table.of({ a, b: reply('2'), c: reply('3') }) };
    const after = { ...before, generation: 4, replies: Table.of({ a, c: reply('4'), d: reply('5') }) };
    expect(diffState(before, after)).toEqual({
      set: { generation: 4 },
      put: { replies: { c: reply('4'), d: reply('5') } },
      drop: { replies: ['b'] },
    });
  });

  it('between a state and itself is empty', () => {
    fc.assert(fc.property(anyState, (state) => isEmpty(diffState(state, { ...state }))));
  });

  it('leaves what it is applied to as it was', () => {
    const before = { ...emptyState('i'), replies: Table.of({ a: reply('1') }) };
    const document = plain(before);
    applyPatches(document, [diffState(before, emptyState('j'))]);
    expect(document).toEqual(plain(before));
  });
});

/** As it is kept. */
const plain = (state: State | undefined): Document => JSON.parse(JSON.stringify(state));

const reply = (body: string) => ({ request: 'r', status: 200, body, at: '2026-01-01T00:00:00.000Z' });
