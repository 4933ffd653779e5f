import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ForeignMethod, Method } from '../../lib/drivers/memory/faults.ts';
import { waitFor } from '../support/wait-for.ts';
import { addOld, isAlive, legacyTemplate, type Trade, trade, tradesOfBot, tradesOfOld } from './legacy.ts';
import { Machine, System } from './system.ts';

const TRADES: readonly Trade[] = [
  [1, false],
  [2, true],
];
const MORE: readonly Trade[] = [...TRADES, [3, true]];

const METHODS: readonly (Method | ForeignMethod)[] = [
  'foreign.inspect',
  'foreign.list',
  'foreign.setRestartPolicy',
  'foreign.stop',
  'foreign.start',
  'foreign.readTree',
  'foreign.writeTree',
  'create',
  'agent.apply',
  'agent.backup',
  'agent.fetchArchive',
  'agent.sendArchive',
  'agent.restore',
  'agent.archive',
  'agent.remove',
];

const aFault = fc.record({
  method: fc.constantFrom(...METHODS),
  how: fc.constantFrom('fails' as const, 'loses its answer' as const),
});

/** Faults on the way there, then on the way back; and whether somebody starts the old one in between. */
const story = fc.record({
  there: fc.array(aFault, { minLength: 1, maxLength: 3 }),
  back: fc.array(aFault, { maxLength: 3 }),
  meddles: fc.boolean(),
});

describe('a migration whose engine and containers fail and lose answers', () => {
  it('ends where it is to end: never two of one bot alive by our hand, no trade lost', async () => {
    await fc.assert(
      fc.asyncProperty(story, async ({ there, back, meddles }) => {
        await using machine = await Machine.make([legacyTemplate()]);
        const { world } = machine;
        const old = addOld(world, 'a');
        await using system = await System.start(machine);
        let meddled = false;
        const doubled: string[] = [];
        world.faults.hook = ({ method, target, when }) => {
          if (old.alive && isAlive(world, 'a') && !meddled) doubled.push(`${when} ${method} of ${target}`);
        };
        const spoil = (faults: typeof there): void => {
          for (const { method, how } of faults) {
            if (how === 'fails') world.faults.failNext(method, 'DEADLINE');
            else world.faults.loseNextAnswer(method);
          }
        };
        const phase = (): string | undefined => system.store.current().migrations.get('a')?.phase;
        await system.migrations.begin({});
        spoil(there);
        await waitFor('it is done', () => phase() === 'done', 20_000);
        expect(tradesOfBot(world, 'a')).toEqual(TRADES);
        expect([old.alive, isAlive(world, 'a')]).toEqual([false, true]);
        if (meddles) {
          meddled = true;
          world.startForeign(old);
          await waitFor(
            'it is stopped again',
            async () => {
              await system.migrations.lookForRevenants().catch(() => {});
              return !old.alive;
            },
            10_000,
          );
          meddled = false;
        }
        trade(world, 'a', MORE);
        spoil(back);
        await system.migrations.rollback('a');
        await waitFor('it is back', () => phase() === 'rolled-back', 20_000);
        expect(tradesOfOld(old)).toEqual(MORE);
        expect([old.alive, isAlive(world, 'a')]).toEqual([true, false]);
        expect(old.restartPolicy.name).toBe('unless-stopped');
        expect(doubled).toEqual([]);
      }),
      { numRuns: 12 },
    );
  }, 240_000);
});
