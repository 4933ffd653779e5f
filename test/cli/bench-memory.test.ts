import { describe, expect, it } from 'vitest';
import { compareMemory, comparisonText, sitsAlone } from '../../lib/cli/bench-memory.ts';
import type { BotView, PoolStatus } from '../../lib/services/pool-api.ts';

const MIB = 2 ** 20;

const bot = (mib: number | null): BotView =>
  ({
    instanceId: 'bench-1',
    template: 'trader',
    container: 'c-bench',
    memory: mib === null ? null : { pssBytes: mib * MIB, rssBytes: 0 },
  }) as BotView;

type Row = readonly [container: string, template: string, mib: number | null, ...states: string[]];

function pool(...rows: Row[]): PoolStatus {
  const pools = rows.map(([id, template, mib, ...states]) => ({
    id,
    template,
    memory: mib === null ? null : { pssBytes: mib * MIB, rssBytes: 0 },
    bots: states.map((state, slot) => ({ instanceId: id === 'c-bench' ? `bench-${slot + 1}` : `b-${slot}`, state })),
  }));
  return { pools } as unknown as PoolStatus;
}

const BENCH: Row = ['c-bench', 'trader', 240, 'running'];

describe('memory of one bot in a container of its own', () => {
  it('is held against all running bots of its template and what their containers take', () => {
    const status = pool(
      BENCH,
      ['c-1', 'trader', 500, 'running', 'running', 'stopped'],
      ['c-2', 'trader', 100, 'running', 'backoff'],
      ['c-3', 'trader', 30],
      ['c-4', 'other', 999, 'running'],
    );
    const found = compareMemory(status, bot(225));
    expect(found).toEqual({
      template: 'trader',
      alone: { pssBytes: 240 * MIB, botPssBytes: 225 * MIB },
      now: { containers: 3, bots: 3, pssBytes: 630 * MIB },
      apart: { pssBytes: 720 * MIB },
    });
    expect(found && comparisonText(found)).toBe(
      [
        'one bot alone      240.0 MiB: the bot 225.0 MiB, its container 15.0 MiB',
        'now                630.0 MiB: 3 bots in 3 containers',
        'one per container  720.0 MiB',
        'saved              90.0 MiB, 13%\n',
      ].join('\n'),
    );
  });

  it('is told also when there is nothing to hold it against', () => {
    const found = compareMemory(pool(BENCH, ['c-4', 'other', 9, 'running']), bot(225));
    expect(found && comparisonText(found)).toMatch(/^one bot alone .*\nNo other bot of template trader runs now/);
  });

  it('is not known before all of it was measured', () => {
    expect(compareMemory(pool(BENCH), bot(null))).toBeNull();
    expect(compareMemory(pool(['c-bench', 'trader', null, 'running']), bot(225))).toBeNull();
    expect(compareMemory(pool(BENCH, ['c-1', 'trader', null, 'running']), bot(225))).toBeNull();
    expect(compareMemory(pool(['c-1', 'trader', 9, 'running']), bot(225))).toBeNull();
    expect(compareMemory(pool(BENCH, ['c-4', 'other', null]), bot(225))).not.toBeNull();
  });

  it('is worth nothing when another bot sits beside it', () => {
    expect(sitsAlone(pool(BENCH), bot(1))).toBe(true);
    expect(sitsAlone(pool(['c-bench', 'trader', 240, 'running', 'running']), bot(1))).toBe(false);
    expect(sitsAlone(pool(), bot(1))).toBe(false);
  });
});
