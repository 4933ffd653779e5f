import { describe, expect, it } from 'vitest';
import { emptyState, type State } from '../../lib/domain/state.ts';
import { type StoredState, stateSchema } from '../../lib/store/schema.ts';
import { botRecord } from './bot-record.ts';

// The schema and the domain type agree: either function would not compile otherwise.
const fromStored = (stored: StoredState): State => stored;
const toStored = (state: State): StoredState => state;

describe('state schema', () => {
  it('takes a state with something in every field, unchanged', () => {
    const state: State = {
      ...emptyState('i'),
      bots: { a: botRecord('a'), constructor: { ...botRecord('constructor'), placement: null } },
      containers: {
        c: {
          name: 'c',
          pool: 'freqtrade/default/local',
          capacity: 10,
          basePort: 9000,
          generation: 1,
          image: 'i:1',
          removing: true,
          createdAt: '2026-01-01T00:00:00.000Z',
        },
      },
      tokens: { h: { id: 't', hash: 'h', actor: { role: 'owner', owner: 'bob' }, createdAt: '2026-01-01T00:00:00Z' } },
      replies: { k: { request: 'r', status: 201, body: '{}', at: '2026-01-01T00:00:00Z' } },
    };
    expect(fromStored(stateSchema.parse(toStored(state)))).toEqual(state);
  });
});
