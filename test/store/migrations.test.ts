import { describe, expect, it } from 'vitest';
import type { RestoreWish } from '../../lib/domain/restore.ts';
import { emptyState, SCHEMA_VERSION } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { decodeState } from '../../lib/store/decode.ts';
import { MIGRATIONS } from '../../lib/store/migrations.ts';
import { aContainer } from '../planner/builders.ts';
import { botRecord } from './bot-record.ts';

const wish: RestoreWish = {
  backup: 'a-1',
  replaces: true,
  kept: null,
  tolerate: false,
  since: '2026-01-01T00:00:00.000Z',
  failed: null,
};

/** As a version that knew no moves wrote it. */
function beforeMoves(): Record<string, unknown> {
  const { move: _, legacy: _legacy, ...bot } = botRecord('a');
  const { soleBot: _sole, emptying: _emptying, entered: _entered, ...container } = aContainer('c');
  const { upgrades: _upgrades, migrations: _migrations, consolidatedAt: _at, ...state } = emptyState('i');
  const bots = { a: bot };
  return {
    ...state,
    leases: {},
    quotas: {},
    replies: {},
    schema: 4,
    generation: 7,
    bots,
    containers: { c: container },
  };
}

/** As a version that knew no restores wrote it. */
function beforeRestores(): Record<string, unknown> {
  const { restore: _, ...bot } = botRecord('a');
  return { ...emptyState('i'), leases: {}, quotas: {}, replies: {}, schema: 3, generation: 7, bots: { a: bot } };
}

/** As a version that knew no leases wrote it. */
function beforeLeases(schema: 1 | 2): Record<string, unknown> {
  const { reserve: _, restore: _restore, ...bot } = botRecord('a');
  const { leases: _leases, quotas: _quotas, ...state } = emptyState('i');
  return { ...state, schema, generation: 7, bots: { a: bot }, replies: {} };
}

describe('migrations', () => {
  it.each([1, 2] as const)('bring a state of schema %i, which knew no leases, to the present one', (schema) => {
    const bots = Table.of({ a: botRecord('a') });
    expect(decodeState(beforeLeases(schema), MIGRATIONS)).toEqual({ ...emptyState('i'), generation: 7, bots });
  });

  it('bring a state of schema 4, which knew no moves, to the present one', () => {
    const [bots, containers] = [Table.of({ a: botRecord('a') }), { c: aContainer('c') }];
    expect(decodeState(beforeMoves(), MIGRATIONS)).toEqual({ ...emptyState('i'), generation: 7, bots, containers });
  });

  it('bring a restore that is under way along', () => {
    const { failed: _, ...before } = wish;
    const old = beforeMoves();
    const { a } = old.bots as { a: object };
    const state = decodeState({ ...old, bots: { a: { ...a, restore: before } } }, MIGRATIONS);
    expect(state.bots.get('a')?.restore).toEqual(wish);
  });

  it('bring a state of schema 3, which knew no restores, to the present one', () => {
    const bots = Table.of({ a: botRecord('a') });
    expect(decodeState(beforeRestores(), MIGRATIONS)).toEqual({ ...emptyState('i'), generation: 7, bots });
  });

  it('lead from every schema there was to the present one', () => {
    expect([...MIGRATIONS.keys()]).toEqual(Array.from({ length: SCHEMA_VERSION - 1 }, (_, n) => n + 1));
  });
});
