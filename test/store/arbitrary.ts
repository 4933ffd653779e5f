import fc from 'fast-check';
import { emptyState, type State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { botRecord } from './bot-record.ts';

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '1', 'constructor'),
  fc.string().filter((text) => text !== '__proto__'),
);
const id = fc.constantFrom('a', 'b', 'c', 'constructor');

/** A state of few bots and replies, so that two of them have something in common. */
export const anyState: fc.Arbitrary<State> = fc
  .record({
    generation: fc.nat(5),
    bots: fc.uniqueArray(id),
    bodies: fc.dictionary(key, fc.string()),
  })
  .map(({ generation, bots, bodies }) => ({
    ...emptyState('i'),
    generation,
    bots: Table.from(bots.map((bot) => [bot, botRecord(bot)])),
    replies: Table.from(
      Object.entries(bodies).map(([name, body]) => [
        name,
        { request: 'r', status: 200, body, at: '2026-01-01T00:00:00.000Z' },
      ]),
    ),
  }));
