import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import { hasCode } from '../../lib/domain/errors.ts';
import { emptyState, type State } from '../../lib/domain/state.ts';
import { Table } from '../../lib/domain/table.ts';
import type { Change, Store } from '../../lib/store/store.ts';
import { anyState } from '../store/arbitrary.ts';

/** One place where a store keeps its data; opened again and again by the suite, one store at a time. */
export interface StorePlace {
  open(): Promise<Store>;
  cleanUp(): Promise<void>;
}

const grow: Change<number> = (state) => {
  const generation = state.generation + 1;
  return { state: { ...state, generation }, result: generation };
};

const fail = (): never => {
  throw new Error('no');
};

const record: ContainerRecord = {
  name: 'c-1',
  pool: 'a/b/c',
  capacity: 10,
  basePort: 9000,
  generation: 1,
  image: null,
  removing: false,
  soleBot: null,
  emptying: null,
  entered: true,
  createdAt: '2026-01-01T00:00:00.000Z',
};

/** Compare and set: the first to put a container under the name wins. */
const claim =
  (basePort: number): Change<boolean> =>
  (state) => {
    if (Object.hasOwn(state.containers, record.name)) return { state, result: false };
    return {
      state: { ...state, containers: { ...state.containers, [record.name]: { ...record, basePort } } },
      result: true,
    };
  };

/** What every store must do, whatever it keeps its data in. */
export function storeContract(name: string, newPlace: () => Promise<StorePlace>): void {
  describe(`${name} keeps the contract of a store`, () => {
    let place: StorePlace;
    let open: Store[];

    const opened = async (): Promise<Store> => {
      const store = await place.open();
      open.push(store);
      return store;
    };

    const reopened = async (store: Store): Promise<Store> => {
      await store.close();
      return opened();
    };

    beforeEach(async () => {
      open = [];
      place = await newPlace();
    });

    afterEach(async () => {
      await Promise.all(open.map((store) => store.close()));
      await place.cleanUp();
    });

    it('begins empty, under an installation id that stays', async () => {
      const store = await opened();
      const { installation } = store.current();
      expect(installation).not.toBe('');
      expect(store.current()).toEqual(emptyState(installation));
      expect((await reopened(store)).current().installation).toBe(installation);
    });

    it('gives another place another installation id', async () => {
      const elsewhere = await newPlace();
      const other = await elsewhere.open();
      try {
        expect(other.current().installation).not.toBe((await opened()).current().installation);
      } finally {
        await other.close();
        await elsewhere.cleanUp();
      }
    });

    it('shows an accepted change at once and keeps it when it resolved', async () => {
      const store = await opened();
      const update = store.update(grow);
      expect(store.current().generation).toBe(1);
      expect(await update).toBe(1);
      expect((await reopened(store)).current().generation).toBe(1);
    });

    it('says when all that was accepted is durable', async () => {
      const store = await opened();
      const updates = [store.update(grow), store.update(grow)];
      await store.settled();
      expect((await reopened(store)).current().generation).toBe(2);
      await Promise.all(updates);
    });

    it('never mutates a state it has given out', async () => {
      const store = await opened();
      const before = store.current();
      const copy = JSON.stringify(before);
      await store.update(claim(9000));
      expect(JSON.stringify(before)).toEqual(copy);
      expect(store.current()).not.toBe(before);
    });

    it('changes nothing when the change throws, and passes the error on', async () => {
      const store = await opened();
      const before = store.current();
      await expect(store.update(fail)).rejects.toThrow('no');
      expect(store.current()).toBe(before);
      expect(await store.update(grow)).toBe(1);
    });

    it('answers a change that changes nothing', async () => {
      const store = await opened();
      expect(await store.update((state) => ({ state, result: state.installation }))).toBe(store.current().installation);
    });

    it('lets exactly one of many claimers win', async () => {
      const store = await opened();
      const won = await Promise.all(Array.from({ length: 50 }, (_, n) => store.update(claim(9000 + n))));
      expect(won.filter(Boolean)).toHaveLength(1);
      const kept = (await reopened(store)).current().containers['c-1'];
      expect(kept?.basePort).toBe(9000 + won.indexOf(true));
    });

    it('runs concurrent changes one after the other, whatever their number and order', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom('grow', 'fail', 'pause', 'same'), { maxLength: 40 }),
          async (script) => {
            const store = await opened();
            const start = store.current().generation;
            const grown = await runScript(store, script);
            expect(grown).toEqual(grown.map((_, n) => start + n + 1));
            expect((await reopened(store)).current().generation).toBe(start + grown.length);
            await open.at(-1)?.close();
          },
        ),
        { numRuns: 15 },
      );
    });

    it('keeps any text in a record as it is', async () => {
      await fc.assert(
        // Nothing may be called `__proto__`: ids, paths and names of variables are checked for it at the door.
        fc.asyncProperty(
          fc.string({ unit: 'grapheme' }).filter((text) => text !== '__proto__'),
          async (body) => {
            const store = await opened();
            const reply = { request: 'r', status: 200, body, at: '2026-01-01T00:00:00.000Z' };
            await store.update((state) => ({
              state: { ...state, replies: Table.of({ [body || 'empty']: reply }) },
              result: null,
            }));
            const again = await reopened(store);
            expect(again.current().replies.records).toEqual([reply]);
            await again.close();
          },
        ),
        { numRuns: 15 },
      );
    });

    it('keeps any state that follows any other', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyState, { minLength: 1, maxLength: 5 }), async (states) => {
          const store = await opened();
          const { installation } = store.current();
          for (const state of states) await store.update(() => ({ state: { ...state, installation }, result: null }));
          const again = await reopened(store);
          expect(again.current()).toEqual({ ...states.at(-1), installation });
          await again.close();
        }),
        { numRuns: 15 },
      );
    });

    it('finishes what is under way when it is closed, and takes nothing after', async () => {
      const store = await opened();
      const updates = Promise.all(Array.from({ length: 10 }, () => store.update(grow)));
      const again = await reopened(store);
      expect(await updates).toHaveLength(10);
      expect(again.current().generation).toBe(10);
      const late = await store.update(grow).catch((error: unknown) => error);
      expect(hasCode(late, 'STORE_UNAVAILABLE')).toBe(true);
    });
  });
}

/** Runs the script without waiting for each step; returns what the growing ones were told, in order. */
async function runScript(store: Store, script: readonly string[]): Promise<number[]> {
  const growing: Promise<number>[] = [];
  const others: Promise<unknown>[] = [];
  for (const step of script) {
    if (step === 'grow') growing.push(store.update(grow));
    else if (step === 'fail') others.push(store.update(fail).catch(() => {}));
    else if (step === 'same') others.push(store.update((state: State) => ({ state, result: null })));
    else await Promise.allSettled([growing.at(-1)]);
  }
  await Promise.all(others);
  return Promise.all(growing);
}
