import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Table } from '../../lib/domain/table.ts';

type Command = { readonly key: string; readonly drop: boolean };

const key = fc.oneof(fc.constantFrom('a', 'constructor', '__proto__', ''), fc.nat(600).map(String));
const commands = fc.array(fc.record({ key, drop: fc.boolean() }), { maxLength: 800 });

/** Makes tables by the commands, beside a Map that is known to work. */
function play(table: Table<object>, map: Map<string, object>, given: readonly Command[]): Table<object> {
  return given.reduce((before, { key, drop }) => {
    const record = {};
    if (drop) map.delete(key);
    else map.set(key, record);
    return drop ? before.drop(key) : before.put(key, record);
  }, table);
}

const sorted = (map: ReadonlyMap<string, object>): [string, object][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

describe('a table', () => {
  it('holds what a map would, in the order of its keys', () => {
    fc.assert(
      fc.property(commands, (given) => {
        const map = new Map<string, object>();
        const table = play(Table.of<object>({}), map, given);
        expect(table.size).toBe(map.size);
        expect(table.keys).toEqual(sorted(map).map(([key]) => key));
        expect(table.records.every((record, at) => record === sorted(map)[at]?.[1])).toBe(true);
        for (const { key } of given) expect(table.get(key)).toBe(map.get(key));
        expect(Table.from(map).keys).toEqual(table.keys);
      }),
      { numRuns: 50 },
    );
  });

  it('is not changed by what is made of it, and tells what differs', () => {
    fc.assert(
      fc.property(commands, commands, (first, then) => {
        const map = new Map<string, object>();
        const before = play(Table.of<object>({}), map, first);
        const old = new Map(map);
        const after = play(before, map, then);
        expect(before.keys).toEqual(sorted(old).map(([key]) => key));
        const { put, drop } = after.since(before);
        expect(new Map(put)).toEqual(new Map([...map].filter(([key, record]) => old.get(key) !== record)));
        expect([...drop].sort()).toEqual([...old.keys()].filter((key) => !map.has(key)).sort());
      }),
      { numRuns: 50 },
    );
  });

  it('shares all that did not change', () => {
    const records = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`bot-${n}`, { n }]));
    const before = Table.of(records);
    const put = { n: -1 };
    expect(before.put('bot-7', put).since(before)).toEqual({ put: [['bot-7', put]], drop: [] });
    expect(before.drop('bot-7').since(before)).toEqual({ put: [], drop: ['bot-7'] });
    expect(before.drop('nobody')).toBe(before);
    expect(before.since(before)).toEqual({ put: [], drop: [] });
  });

  it('is a plain object in JSON', () => {
    const table = Table.of({ b: 1, a: 2 });
    expect(JSON.stringify({ table })).toBe('{"table":{"a":2,"b":1}}');
    expect(table.filter((record) => record > 1).keys).toEqual(['a']);
  });
});
