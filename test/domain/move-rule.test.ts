import { describe, expect, it } from 'vitest';
import { type Fact, factOf, lackingOf, pick } from '../../lib/domain/move-rule.ts';

const ANSWER = { total: 3, trades: [{ id: 7 }, { id: 9 }, {}], 'a/b': { '~': 1 } };

describe('a pointer into an answer', () => {
  it.each([
    ['', [ANSWER]],
    ['/total', [3]],
    ['/trades/*/id', [7, 9]],
    ['/trades/1/id', [9]],
    ['/a~1b/~0', [1]],
    ['/nothing/*/id', []],
    ['/total/*', []],
    ['/__proto__', []],
  ])('%s finds what is there', (pointer, found) => {
    expect(pick(ANSWER, pointer)).toEqual(found);
  });
});

const fact = (kind: Fact['kind'], ...takes: ('value' | 'count')[]): Fact => ({
  kind,
  from: takes.map((take) => ({ path: '/', pointer: '', take })),
});

describe('a fact', () => {
  it.each([
    [fact('sum', 'value', 'count'), [[5], ['x', 'y']], '7'],
    [fact('sum', 'value'), [[]], '0'],
    [fact('max', 'value', 'value'), [[5, 9], [2]], '9'],
    [fact('max', 'value'), [[]], '0'],
    [fact('same', 'value'), [['a', { b: 1 }]], '["a",{"b":1}]'],
    [fact('sum', 'value'), [['5']], null],
    [fact('max', 'value'), [[Number.NaN]], null],
  ])('%o of %o is %s', (rule, values, expected) => {
    expect(factOf(rule, values)).toBe(expected);
  });
});

describe('what a bot shows after its move', () => {
  const rules = { trades: fact('sum', 'value'), last: fact('max', 'value'), name: fact('same', 'value') };
  const before = { trades: '10', last: '9', name: '["x"]' };

  it.each([
    ['all it had', before, null],
    ['more, because it went on', { trades: '11', last: '12', name: '["x"]' }, null],
    ['fewer trades', { ...before, trades: '9' }, 'trades was 10 before and is 9 now'],
    ['an earlier last one', { ...before, last: '8' }, 'last was 9 before and is 8 now'],
    ['another name', { ...before, name: '["y"]' }, 'name was ["x"] before and is ["y"] now'],
    ['nothing at all', {}, 'trades was 10 before and is not known now'],
  ])('%s', (_, now, lacking) => {
    expect(lackingOf(rules, before, now)).toBe(lacking);
  });

  it('is not held to what its template asks only since', () => {
    expect(lackingOf(rules, {}, {})).toBeNull();
  });
});
