import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import { openFileStore } from '../../lib/store/file-store.ts';
import type { Change, Store } from '../../lib/store/store.ts';
import { systemClock } from '../../lib/util/clock.ts';
import { systemDisk } from '../../lib/util/disk.ts';
import { silentLogger as log } from '../../lib/util/logger.ts';
import { type Crash, CrashingDisk } from '../support/crashing-disk.ts';

/**
 * The power goes at any operation on the disk. Whoever opens the store then finds the state after some update of the
 * script, none in halves, and none missing that was answered. `hour` lets the state file be written anew beside what
 * follows; `burst` are updates at once.
 */
type Step = 'put' | 'drop' | 'burst' | 'hour' | 'pause' | 'reopen';
const anyStep = fc.constantFrom<Step>('put', 'put', 'drop', 'burst', 'hour', 'pause', 'reopen');

const HOUR = 3_600_000;

/** Each update leaves its number in two sections, so that half of one would show. */
const put: Change<number> = (state) => {
  const generation = state.generation + 1;
  const reply = { request: 'r', status: 200, body: 'x'.repeat(generation * 7), at: '2026-01-01T00:00:00.000Z' };
  const token = { id: 't', hash: 'h', actor: { role: 'admin' as const }, createdAt: reply.at };
  const tokens = { ...state.tokens, [`t${generation}`]: token };
  return {
    state: { ...state, generation, tokens, replies: state.replies.put(`r${generation}`, reply) },
    result: generation,
  };
};

const drop: Change<number> = (state) => {
  const generation = state.generation + 1;
  return { state: { ...state, generation, tokens: {}, replies: Table.of({}) }, result: generation };
};

function expectWhole({ tokens, replies, generation }: State): void {
  const numbers = Object.keys(tokens).map((key) => Number(key.slice(1)));
  expect(replies.keys).toEqual(numbers.map((number) => `r${number}`).sort());
  expect(replies.records.every(({ body }, n) => body.length % 7 === 0 && body.length > 0 && n >= 0)).toBe(true);
  expect(Math.max(0, ...numbers)).toBeLessThanOrEqual(generation);
}

class Trial {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'bunkhouse-crash-'));
  #now = Date.parse('2026-01-01T00:00:00Z');
  /** The highest number that was answered. */
  answered = 0;

  constructor() {
    this.path = join(this.#folder, 'state.json');
  }

  open(disk = systemDisk): Promise<Store> {
    const clock = { ...systemClock, now: () => this.#now };
    return openFileStore({ path: this.path, clock, log, disk });
  }

  /** Does the script on the disk until it crashes or is done. Says whether it crashed. */
  async run(script: readonly Step[], disk: CrashingDisk): Promise<boolean> {
    let store: Store | null = null;
    try {
      store = await this.open(disk);
      for (const step of script) {
        if (step === 'reopen') await store.close();
        store = step === 'reopen' ? await this.open(disk) : store;
        await this.#do(step, store);
      }
    } catch (error) {
      if (!disk.isDead) throw error;
    }
    await store?.close();
    return disk.isDead;
  }

  /** What the next opener finds, on a disk that works. */
  async recovered(): Promise<State> {
    const store = await this.open();
    const state = store.current();
    await store.close();
    expect(readdirSync(this.#folder).filter((name) => /\.(tmp|journal)-/.test(name))).toEqual([]);
    return state;
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true });
  }

  async #do(step: Step, store: Store): Promise<void> {
    const update = async (change: Change<number>): Promise<void> => {
      this.answered = Math.max(this.answered, await store.update(change));
    };
    if (step === 'hour') this.#now += HOUR;
    if (step === 'put') await update(put);
    if (step === 'drop') await update(drop);
    if (step === 'burst') await Promise.all([update(put), update(put), update(drop), update(put)]);
    if (step === 'pause') await systemClock.sleep(3);
  }
}

async function expectSafe(script: readonly Step[], crash: Crash): Promise<boolean> {
  const trial = new Trial();
  try {
    const crashed = await trial.run(script, new CrashingDisk(crash));
    const state = await trial.recovered();
    expect(state.generation).toBeGreaterThanOrEqual(trial.answered);
    expectWhole(state);
    return crashed;
  } finally {
    trial.dispose();
  }
}

describe('file store: the power goes', { timeout: 120_000 }, () => {
  const script: readonly Step[] = ['put', 'hour', 'put', 'burst', 'pause', 'reopen', 'drop'];

  it.each([0, 0.5, 1])(
    'at each operation of opening, committing, rotating and closing; %s of what was not synced stays',
    async (kept) => {
      let at = 1;
      while (await expectSafe(script, { at, kept })) at += 1;
      // So many operations there are at least: every one of them was tried.
      expect(at).toBeGreaterThan(40);
    },
  );

  it('anywhere in any script', async () => {
    const crash = fc.record({ at: fc.integer({ min: 1, max: 100 }), kept: fc.double({ min: 0, max: 1, noNaN: true }) });
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 12 }), crash, async (steps, where) => {
        await expectSafe(steps, where);
      }),
      { numRuns: 50 },
    );
  });
});
