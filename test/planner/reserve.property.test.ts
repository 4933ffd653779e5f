import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOnLease } from '../../lib/domain/lease.ts';
import { plan } from '../../lib/planner/plan.ts';
import { countMembers } from '../../lib/services/reserve-changes.ts';
import { type Loss, MOST, type Place, ReserveModel, TARGETS, TTL } from './reserve-model.ts';

type Command =
  | { readonly do: 'acquire'; readonly owner: string; readonly where: Place | null }
  | { readonly do: 'release' | 'extend' | 'remove' | 'crash' | 'recover' | 'restart bot'; readonly which: number }
  | { readonly do: 'wait'; readonly seconds: number }
  | { readonly do: 'power' | 'silence' | 'speak'; readonly box: number }
  | {
      readonly do:
        | 'blind'
        | 'see'
        | 'sick'
        | 'well'
        | 'dirty'
        | 'clean'
        | 'store fails'
        | 'store works'
        | 'cut'
        | 'mend';
    }
  /** `back up`: the store is copied; `set back`: the copy takes its place. Both with a new supervisor. */
  | { readonly do: 'restart' | 'back up' | 'set back' }
  /** Something that was sent earlier arrives (again). */
  | { readonly do: 'late'; readonly which: number }
  /** Applies the plan; only the first `steps` of it, each one twice where `twice`, and each only up to its loss. */
  | { readonly do: 'pass'; readonly steps: number; readonly twice: boolean; readonly loss: Loss };

const one = <T extends string>(...names: T[]) => fc.constantFrom(...names);
const which = fc.nat(7);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: one('acquire'),
      owner: one('alice', 'bob'),
      where: fc.constantFrom('local', 'weur', null),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: one('release', 'extend', 'remove', 'crash', 'recover', 'restart bot'), which }),
  },
  { weight: 2, arbitrary: fc.record({ do: one('wait'), seconds: fc.constantFrom(1, TTL, 700, 4000) }) },
  { weight: 2, arbitrary: fc.record({ do: one('power', 'silence', 'speak'), box: fc.nat(2) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: one('blind', 'see', 'sick', 'well', 'dirty', 'clean', 'store fails', 'store works', 'cut', 'mend'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: one('restart', 'back up', 'set back') }) },
  { weight: 1, arbitrary: fc.record({ do: one('late'), which: fc.nat(40) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: one('pass'),
      steps: fc.oneof({ weight: 3, arbitrary: fc.constant(99) }, fc.nat(4)),
      twice: fc.boolean(),
      loss: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat(2)),
    }),
  },
);

function run(model: ReserveModel, given: Command): void {
  switch (given.do) {
    case 'acquire':
      model.acquire(given.owner, given.where);
      return;
    case 'wait':
      model.now += given.seconds * 1000;
      return;
    case 'restart':
    case 'back up':
    case 'set back':
      model.restart(given.do);
      return;
    case 'late':
      model.sent[given.which]?.();
      return;
    case 'pass':
      for (const step of plan(model.world()).steps.slice(0, given.steps)) {
        model.apply(step, given.loss);
        if (given.twice) model.apply(step, given.loss);
      }
      return;
    case 'power':
    case 'silence':
    case 'speak':
      disturb(model, given);
      return;
    case 'release':
    case 'extend':
    case 'remove':
    case 'crash':
    case 'recover':
    case 'restart bot':
      touch(model, given);
      return;
    default:
      change(model, given.do);
  }
}

function disturb(model: ReserveModel, given: Extract<Command, { box: number }>): void {
  const box = [...model.containers.values()][given.box];
  if (box === undefined) return;
  if (given.do === 'power') box.on = false;
  else box.silent = given.do === 'silence';
}

function touch(model: ReserveModel, { do: what, which }: Extract<Command, { which: number }>): void {
  const bot = model.state.bots.keys[which];
  const lease = model.state.leases.keys[which];
  if (what === 'release' && lease !== undefined) model.release(lease);
  if (what === 'extend' && lease !== undefined) model.extend(lease, TTL);
  if (bot === undefined) return;
  if (what === 'remove') model.remove(bot);
  if (what === 'restart bot') model.restartBot(bot);
  if (what !== 'crash' && what !== 'recover') return;
  for (const box of model.containers.values()) {
    const spec = box.bots.get(bot);
    if (spec !== undefined) box.bots.set(bot, { ...spec, well: what === 'recover' });
  }
}

function change(model: ReserveModel, what: Extract<Command, { do: 'blind' }>['do'] | string): void {
  if (what === 'blind' || what === 'see') model.listable = what === 'see';
  if (what === 'cut' || what === 'mend') model.cut = what === 'cut';
  if (what === 'sick' || what === 'well') model.healthy = what === 'well';
  if (what === 'dirty' || what === 'clean') model.cleanable = what === 'clean';
  if (what === 'store fails' || what === 'store works') model.storeWorks = what === 'store works';
}

/** What must hold at every moment. */
function check(model: ReserveModel): void {
  const lasting = model.state.leases.records.filter((lease) => lease.end === null);
  const bots = lasting.map((lease) => lease.bot);
  expect(new Set(bots).size, 'a bot on two leases').toBe(bots.length);
  for (const lease of lasting) {
    const bot = model.state.bots.get(lease.bot);
    expect(bot?.location, 'a lease of one place, a bot in another').toBe(lease.location);
    expect(bot !== undefined && isOnLease(bot, lease.id) && bot.owner === lease.owner, 'a lease without its bot').toBe(
      true,
    );
  }
  expect(countMembers(model.state, 'echo'), 'more than the most').toBeLessThanOrEqual(MOST);
}

/** Everything works again, nobody wants anything, and time passes: the reserve must be full, and nothing else left. */
function calm(model: ReserveModel): void {
  for (const what of ['see', 'mend', 'well', 'clean', 'store works']) change(model, what);
  for (let round = 0; round < 40; round++) {
    for (const box of model.containers.values()) {
      box.silent = false;
      for (const [bot, spec] of box.bots) box.bots.set(bot, { ...spec, well: true });
    }
    model.now += 120_000;
    run(model, { do: 'pass', steps: 99, twice: false, loss: null });
    check(model);
  }
  expect(plan(model.world()).steps).toEqual([]);
  // One that was seen where an older store knows no container is held, deleted or not, until somebody stops that.
  const kept = model.state.bots.records.filter((bot) => !bot.deleting);
  expect(kept.every((bot) => bot.reserve?.phase === 'ready')).toBe(true);
  const counts = Map.groupBy(kept, ({ location }) => location);
  expect(Object.fromEntries([...counts].map(([location, some]) => [location, some.length]))).toEqual(TARGETS);
  expect(model.state.leases.records).toEqual([]);
}

describe('the reserve, whatever happens', () => {
  it('hands no bot out twice, dirty or elsewhere, loses no slot, and is full in the end', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 10, maxLength: 100 }), (commands) => {
        const model = new ReserveModel();
        for (const given of commands) {
          run(model, given);
          model.soil();
          check(model);
        }
        calm(model);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
