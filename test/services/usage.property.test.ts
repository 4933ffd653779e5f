import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeTempDir, removeDir } from '../support/temp-dir.ts';
import { type ModelBot, UsageModel } from './usage-model.ts';

/** Whatever happens to bots, supervisor, disk and clock: what is counted is true, and nothing is counted twice. */

type Act =
  | { readonly act: 'pass'; readonly seconds: number }
  | { readonly act: 'turn' | 'crash' | 'revive'; readonly bot: number }
  | { readonly act: 'hide'; readonly container: string; readonly hidden: boolean }
  | { readonly act: 'fill'; readonly full: boolean }
  | { readonly act: 'setClock'; readonly minutes: number }
  | { readonly act: 'look' | 'write' | 'kill' | 'boot' };

const always = <T extends Act['act']>(act: T) => fc.constant({ act } as const);
const ofBot = <T extends Act['act']>(act: T) => fc.record({ act: fc.constant(act), bot: fc.nat(2) });
const seldom = fc.nat(3).map((n) => n === 0);

const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant('pass' as const),
      seconds: fc.double({ min: 0.001, max: 90, noNaN: true }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constant('pass' as const), seconds: fc.integer({ min: 99, max: 12_000 }) }),
  },
  { weight: 6, arbitrary: always('look') },
  { weight: 4, arbitrary: ofBot('turn' as const) },
  { weight: 3, arbitrary: ofBot('crash' as const) },
  { weight: 3, arbitrary: ofBot('revive' as const) },
  { weight: 3, arbitrary: always('write') },
  { weight: 2, arbitrary: always('kill') },
  { weight: 4, arbitrary: always('boot') },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('hide' as const),
      container: fc.constantFrom('c-1', 'c-2'),
      hidden: seldom,
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('fill' as const), full: seldom }) },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant('setClock' as const), minutes: fc.integer({ min: -180, max: 180 }) }),
  },
);

function perform(model: UsageModel, what: Act): Promise<void> | void {
  switch (what.act) {
    case 'pass':
      return model.pass(what.seconds);
    case 'hide':
      return model.hide(what.container, what.hidden);
    case 'fill':
      return model.fill(what.full);
    case 'setClock':
      return model.setClock(what.minutes);
    case 'turn':
    case 'crash':
    case 'revive':
      return model[what.act](model.bots[what.bot] as ModelBot);
    default:
      return model[what.act]();
  }
}

/** Files keep thousandths, rounded each time a supervisor begins anew. */
const ROUNDING = 0.1;

async function check(story: readonly Act[]): Promise<void> {
  const folder = await makeTempDir();
  try {
    const model = new UsageModel(folder);
    await model.boot();
    for (const act of story) await perform(model, act);
    model.fill(false);
    for (const container of ['c-1', 'c-2']) model.hide(container, false);
    await model.boot();
    model.look();
    await expectTruth(model);
    await model.write();
    model.kill();
    await model.boot();
    await expectTruth(model);
  } finally {
    await removeDir(folder);
  }
}

async function expectTruth(model: UsageModel): Promise<void> {
  const counted = await model.counted();
  for (const bot of model.bots) {
    const usage = counted.get(bot.id) ?? { runningSeconds: 0, pssByteSeconds: 0, cpuSeconds: 0 };
    const { least, most } = model.truth(bot);
    for (const name of ['runningSeconds', 'pssByteSeconds', 'cpuSeconds'] as const) {
      const room = name === 'pssByteSeconds' ? ROUNDING * 50_000_000 : ROUNDING;
      expect(usage[name], `${bot.id} ${name} at most`).toBeLessThanOrEqual(most[name] + room);
      expect(usage[name], `${bot.id} ${name} at least`).toBeGreaterThanOrEqual(least[name] - room);
    }
  }
}

describe('usage', () => {
  it('is the truth, whatever happens', { timeout: 120_000 }, async () => {
    const runs = fc.asyncProperty(fc.array(acts, { minLength: 5, maxLength: 60 }), check);
    await fc.assert(runs, { numRuns: 200 });
  });
});
