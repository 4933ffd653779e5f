import { describe, expect, it } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { LeaseRecord } from '../../lib/domain/lease.ts';
import { emptyState, type State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { type StoredState, stateSchema } from '../../lib/store/schema.ts';
import { botRecord } from './bot-record.ts';

// The schema and the domain type agree: either function would not compile otherwise.
const fromStored = (stored: StoredState): State => stored;
const toStored = (state: State): StoredState => state;

const AT = '2026-01-01T00:00:00.000Z';

function aLease(id: string): LeaseRecord {
  const facts = { bot: 'a', template: 'wordpress', location: 'local', owner: 'alice', ttlSeconds: 0.5, fromPool: true };
  return { id, ...facts, createdAt: AT, expiresAt: AT, fence: 7, end: null };
}

describe('state schema', () => {
  it('takes a state with something in every field, unchanged', () => {
    const state: State = {
      ...emptyState('i'),
      bots: Table.of({
        a: botRecord('a'),
        constructor: {
          ...botRecord('constructor'),
          placement: null,
          reserve: { phase: 'resetting', lease: 'l1', since: AT, served: 3 },
        },
      } as Record<string, BotRecord>),
      leases: Table.of({ l1: { ...aLease('l1'), end: { at: AT, how: 'lost' } }, l2: aLease('l2') }),
      quotas: Table.of({ alice: { hour: { since: AT, count: 1 }, day: { since: AT, count: 2 } } }),
      containers: {
        c: {
          name: 'c',
          pool: 'freqtrade/default/local',
          capacity: 10,
          basePort: 9000,
          generation: 1,
          image: 'i:1',
          removing: true,
          soleBot: null,
          emptying: null,
          entered: true,
          createdAt: '2026-01-01T00:00:00.000Z',
        },
      },
      tokens: { h: { id: 't', hash: 'h', actor: { role: 'owner', owner: 'bob' }, createdAt: '2026-01-01T00:00:00Z' } },
      replies: Table.of({ k: { request: 'r', status: 201, body: '{}', at: '2026-01-01T00:00:00Z' } }),
    };
    expect(fromStored(stateSchema.parse(JSON.parse(JSON.stringify(toStored(state)))))).toEqual(state);
  });
});
