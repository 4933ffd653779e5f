import { describe, expect, it } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { ContainerRecord, Emptying } from '../../lib/domain/container.ts';
import type { Move, MoveCause } from '../../lib/domain/move.ts';
import { Table } from '../../lib/domain/table.ts';
import type { UpgradeRecord } from '../../lib/domain/upgrade.ts';
import { planContainers } from '../../lib/planner/containers.ts';
import { planEmptying } from '../../lib/planner/emptying.ts';
import { nextDeparture } from '../../lib/planner/emptying-jobs.ts';
import { explainStep } from '../../lib/planner/explain.ts';
import { Rooms } from '../../lib/planner/rooms.ts';
import { joinPlans, type World } from '../../lib/planner/world.ts';
import {
  aBot,
  aContainer,
  aMigration,
  anAgent,
  aState,
  aTemplate,
  aWorld,
  inSlot,
  NOW,
  observedBot,
  observedContainer,
} from './builders.ts';

const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

const CLOSED: Emptying = { why: 'upgrade', since: ago(60) };
const DRAINED: Emptying = { why: 'drain', since: ago(60), surge: 2, force: false };

const old = aContainer('old', { basePort: 9000, generation: 5, emptying: CLOSED });
const older = aContainer('older', { basePort: 9010, generation: 3, emptying: CLOSED });
const fresh = aContainer('fresh', { basePort: 9020, generation: 60, capacity: 9 });

const UPGRADE: UpgradeRecord = {
  template: 'echo',
  image: null,
  previousImage: null,
  generation: 50,
  status: 'running',
  surge: 2,
  spacingSeconds: 0,
  failureBudget: 1,
  holdSeconds: null,
  moved: 0,
  failures: [],
  begunAt: null,
  startedAt: ago(100),
  endedAt: null,
};
const OF_UPGRADE: MoveCause = { kind: 'upgrade', template: 'echo' };

const MOVE: Move = {
  to: { kind: 'pool' },
  cause: OF_UPGRADE,
  phase: 'leaving',
  other: null,
  archive: null,
  facts: null,
  undone: null,
  left: null,
  since: ago(1),
};

const inOld = (id: string, slot: number, more: Partial<BotRecord> = {}): BotRecord =>
  aBot(id, { placement: inSlot(old, slot), ...more });

interface Given {
  readonly bots?: readonly BotRecord[];
  readonly containers?: readonly ContainerRecord[];
  readonly upgrade?: Partial<UpgradeRecord> | null;
  readonly world?: Partial<World>;
  /** Directories of nobody's in `old`. */
  readonly left?: readonly string[];
  readonly consolidatedAt?: number;
}

/** Every container is there and every bot as it is wanted. */
function worldOf({
  bots = [],
  containers = [old, fresh],
  upgrade = {},
  world = {},
  left = [],
  consolidatedAt = 0,
}: Given): World {
  const seen = (container: ContainerRecord) => {
    const here = bots.filter(({ placement }) => placement?.container === container.name);
    const observed = here.map((bot) => {
      const run = bot.desired === 'running';
      return observedBot(bot, { run, state: run ? 'running' : 'stopped' });
    });
    const names = here.map(({ instanceId }) => instanceId);
    return anAgent(observed, container.name === 'old' ? [...names, ...left] : names);
  };
  return aWorld({
    state: {
      ...aState(bots, containers),
      upgrades: upgrade === null ? {} : { echo: { ...UPGRADE, ...upgrade } },
      consolidatedAt,
    },
    listing: { kind: 'seen', value: new Map(containers.map((record) => [record.name, observedContainer(record)])) },
    agents: new Map(containers.map((record) => [record.name, { kind: 'seen', value: seen(record) }])),
    ...world,
  });
}

function planned(given: Given): { steps: string[]; held: string[] } {
  const world = worldOf(given);
  const { steps, held } = joinPlans([planEmptying(world, new Rooms(world)), planContainers(world)]);
  return { steps: steps.map(explainStep), held: held.map(({ target, why }) => `${target}: ${why}`) };
}

const goes = (...bots: string[]): string[] => bots.map((bot) => `move ${bot} to another container of its pool`);

describe('who begins a move in an upgrade', () => {
  it.each<[string, Given, string[]]>([
    ['at most as many as may be on their way', { bots: [inOld('a', 0), inOld('b', 1), inOld('c', 2)] }, goes('a', 'b')],
    [
      'fewer while others are on their way',
      { bots: [inOld('a', 0, { move: MOVE }), inOld('b', 1), inOld('c', 2)] },
      goes('b'),
    ],
    [
      'nobody while so many go back',
      {
        bots: [
          inOld('a', 0, { move: { ...MOVE, undone: 'x' } }),
          inOld('b', 1, { move: { ...MOVE, phase: 'clearing' } }),
          inOld('c', 2),
        ],
      },
      [],
    ],
    [
      'one at a time when they are spaced',
      { bots: [inOld('a', 0), inOld('b', 1)], upgrade: { spacingSeconds: 5 } },
      goes('a'),
    ],
    ['not before the spacing is over', { bots: [inOld('a', 0)], upgrade: { spacingSeconds: 5, begunAt: ago(4) } }, []],
    ['once it is', { bots: [inOld('a', 0)], upgrade: { spacingSeconds: 5, begunAt: ago(5) } }, goes('a')],
    [
      'also when the clock was set back meanwhile',
      { bots: [inOld('a', 0)], upgrade: { spacingSeconds: 5, begunAt: ago(-3600) } },
      goes('a'),
    ],
    ['nobody while it is paused', { bots: [inOld('a', 0)], upgrade: { status: 'paused' } }, []],
    ['nobody after it failed', { bots: [inOld('a', 0)], upgrade: { status: 'failed', endedAt: ago(1) } }, []],
    [
      'who is stopped first, then the oldest containers',
      {
        bots: [
          inOld('a', 0),
          aBot('b', { placement: inSlot(older, 2) }),
          inOld('c', 1, { desired: 'stopped' }),
          aBot('d', { placement: inSlot(older, 1) }),
        ],
        containers: [old, older, fresh],
        upgrade: { surge: 4 },
      },
      goes('c', 'd', 'b', 'a'),
    ],
    [
      'whose move failed before, last',
      {
        bots: [inOld('a', 0), inOld('b', 1), inOld('c', 2)],
        upgrade: { surge: 3, failureBudget: 5, failures: [{ bot: 'a', why: 'no', at: ago(1) }] },
      },
      goes('b', 'c', 'a'),
    ],
    [
      'not yet again whose move failed lately',
      {
        bots: [inOld('a', 0)],
        upgrade: { spacingSeconds: 1, failures: [{ bot: 'a', why: 'no', at: ago(9) }] },
      },
      [],
    ],
    ['not who is being deleted', { bots: [inOld('a', 0, { deleting: true })] }, []],
    [
      'not who waits in the reserve',
      { bots: [inOld('a', 0, { reserve: { phase: 'ready', lease: null, since: ago(1), served: 0 } })] },
      [],
    ],
    [
      'who is on lease',
      { bots: [inOld('a', 0, { reserve: { phase: 'assigned', lease: 'l', since: ago(1), served: 0 } })] },
      goes('a'),
    ],
    [
      'nobody of containers that are newer',
      { bots: [aBot('a', { placement: inSlot(fresh, 0) })], containers: [fresh], upgrade: { image: 'x' } },
      ['end the upgrade of echo'],
    ],
  ])('is %s', (_, given, want) => {
    expect(planned(given).steps).toEqual(want);
  });

  it('is nobody who is being brought over or back', () => {
    const bots = [inOld('a', 0), inOld('b', 1)];
    const containers = [old, fresh];
    const migrations = Table.from([
      ['a', aMigration('placing')],
      ['b', aMigration('done', { instanceId: 'b' })],
    ]);
    const world = { state: { ...worldOf({ bots, containers }).state, migrations } };
    expect(planned({ bots, containers, world })).toEqual({
      steps: goes('b'),
      held: ['a: stays in old for now: it is being brought over or back (placing)'],
    });
  });

  it('is nobody for whom there can be no room', () => {
    const world = { blockedPorts: new Set([65_531, 65_534]), limits: { ...aWorld().limits, basePort: 65_530 } };
    expect(planned({ bots: [inOld('a', 0)], containers: [old], world })).toEqual({
      steps: [],
      held: ['a: no free range of ports at or above 65530'],
    });
  });

  it('moves a bot of a container of its own into another one of its own', () => {
    const own = aContainer('own', { basePort: 9030, capacity: 1, generation: 1, emptying: CLOSED, soleBot: 'a' });
    const bot = aBot('a', { placement: inSlot(own, 0), legacy: { cause: 'asked', why: 'x', since: ago(9) } });
    expect(planned({ bots: [bot], containers: [own] }).steps).toEqual(['move a to a container of its own']);
  });
});

describe('who is held back', () => {
  const templates = new Map([
    ['echo', aTemplate({ holdBack: { path: '/free', headers: {}, json: { free: 'true' }, why: 'is busy' } })],
  ]);
  it.each<[string, Given, string[], string[]]>([
    [
      'who has not been asked',
      { bots: [inOld('a', 0)] },
      [],
      ['a: stays in old for now: it has not been asked yet whether it may go'],
    ],
    [
      'who says so',
      { bots: [inOld('a', 0)], world: { holdBacks: new Map([['a', 'it is busy']]) } },
      [],
      ['a: stays in old for now: it is busy'],
    ],
    [
      'not who says that it may go',
      { bots: [inOld('a', 0)], world: { holdBacks: new Map([['a', null]]) } },
      goes('a'),
      [],
    ],
    ['not who is stopped', { bots: [inOld('a', 0, { desired: 'stopped' })] }, goes('a'), []],
    ['not for ever', { bots: [inOld('a', 0)], upgrade: { holdSeconds: 100 } }, goes('a'), []],
    [
      'no longer than is said',
      { bots: [inOld('a', 0)], upgrade: { holdSeconds: 101 } },
      [],
      ['a: stays in old for now: it has not been asked yet whether it may go'],
    ],
    [
      'not when the drain says so',
      { bots: [inOld('a', 0)], containers: [{ ...old, emptying: { ...DRAINED, force: true } }, fresh], upgrade: null },
      goes('a'),
      [],
    ],
  ])('is %s', (_, { world = {}, ...given }, steps, held) => {
    expect(planned({ ...given, world: { templates, ...world } })).toEqual({ steps, held });
  });

  it('is who is unknown, in a restore, or cannot move at all', () => {
    const agents = { agents: new Map([['old', { kind: 'unknown', reason: 'no answer' } as const]]) };
    expect(planned({ bots: [inOld('a', 0)], world: agents }).held).toContain('a: stays in old for now: no answer');
    const restore = { backup: 'b1', replaces: true, kept: null, tolerate: false, failed: null, since: ago(1) };
    expect(planned({ bots: [inOld('a', 0, { restore })] }).held).toEqual([
      'a: stays in old for now: its data is being replaced by that of b1',
    ]);
    const template = new Map([['echo', aTemplate({ services: { db: {} as never } })]]);
    expect(planned({ bots: [inOld('a', 0)], world: { templates: template } }).held[0]).toContain('keeps data in db');
  });
});

describe('an upgrade', () => {
  it.each<[string, Given, string[]]>([
    ['ends when nobody is left', { containers: [fresh] }, ['end the upgrade of echo']],
    [
      'removes containers that were emptied',
      { containers: [old, fresh] },
      ['end the upgrade of echo', 'give up container old, which nobody needs any more'],
    ],
    [
      'goes on while somebody goes back, or is still to be cleared away',
      {
        bots: [
          aBot('a', {
            placement: inSlot(fresh, 0),
            move: {
              ...MOVE,
              phase: 'clearing',
              other: { placement: inSlot(old, 0) as never, location: 'local', legacy: null },
            },
          }),
        ],
      },
      [],
    ],
    ['goes on while somebody is being deleted', { bots: [inOld('a', 0, { deleting: true })] }, []],
    [
      'waits to be aborted until nobody is on the way',
      { bots: [inOld('a', 0, { move: MOVE })], upgrade: { status: 'stopping' } },
      [],
    ],
    [
      'is aborted then, whoever is left',
      { bots: [inOld('a', 0)], containers: [{ ...old, emptying: null }, fresh], upgrade: { status: 'stopping' } },
      ['end the upgrade of echo'],
    ],
    ['does not end while it is paused', { containers: [fresh], upgrade: { status: 'paused' } }, []],
  ])('%s', (_, given, want) => {
    expect(planned(given).steps).toEqual(want);
  });

  it('leaves a container alone in which somebody left something', () => {
    expect(planned({ left: ['stranger'] })).toEqual({
      steps: ['end the upgrade of echo'],
      held: ['old: stranger is left in it by bots the store does not know: cleanup archives that'],
    });
  });

  it('says when the next of its moves is due', () => {
    const due = (upgrade: Partial<UpgradeRecord>) => nextDeparture(worldOf({ upgrade }));
    expect(due({})).toBe(null);
    expect(due({ spacingSeconds: 5, begunAt: ago(2) })).toBe(3000);
    expect(due({ spacingSeconds: 5, begunAt: ago(6) })).toBe(null);
    expect(due({ holdSeconds: 160 })).toBe(60_000);
    expect(due({ spacingSeconds: 1, begunAt: ago(2), failures: [{ bot: 'a', why: '', at: ago(4) }] })).toBe(6000);
    expect(due({ status: 'paused', spacingSeconds: 5, begunAt: ago(2) })).toBe(null);
  });
});

describe('a drained container', () => {
  const drained = { ...old, emptying: DRAINED };
  it.each<[string, Given, string[]]>([
    [
      'sends its bots away, as many at a time as it is told',
      { bots: [inOld('a', 0), inOld('b', 1), inOld('c', 2)], containers: [drained, fresh], upgrade: null },
      goes('a', 'b'),
    ],
    ['stays when it is empty', { containers: [drained, fresh], upgrade: null }, []],
    [
      'does so also while an upgrade is paused',
      { bots: [inOld('a', 0)], containers: [drained, fresh], upgrade: { status: 'paused' } },
      goes('a'),
    ],
  ])('%s', (_, given, want) => {
    expect(planned(given).steps).toEqual(want);
  });
});

describe('consolidation', () => {
  const one = aContainer('one', { basePort: 9000, capacity: 4, generation: 5, createdAt: ago(9000) });
  const two = aContainer('two', { basePort: 9010, capacity: 4, generation: 6, createdAt: ago(9000) });
  const three = aContainer('three', { basePort: 9020, capacity: 4, generation: 7, createdAt: ago(9000) });
  const fill = (container: ContainerRecord, count: number): BotRecord[] =>
    Array.from({ length: count }, (_, slot) =>
      aBot(`${container.name}-${slot}`, { placement: inSlot(container, slot) }),
    );
  const limits = { ...aWorld().limits, consolidateMovesPerHour: 60 };
  const base: Given = { upgrade: null, containers: [one, two, three], world: { limits } };
  const merged = { ...two, emptying: { why: 'consolidate', since: ago(9) } } as const;

  it.each<[string, Given, string[]]>([
    [
      'closes the container with the fewest bots that fit elsewhere',
      { bots: [...fill(one, 3), ...fill(two, 1), ...fill(three, 2)] },
      ['empty two: its bot fits into other containers of its pool'],
    ],
    ['is off by default', { bots: [...fill(one, 1), ...fill(two, 1)], world: {} }, []],
    [
      'leaves those alone that are more than half full',
      { bots: [...fill(one, 3), ...fill(two, 3)], containers: [one, two] },
      [],
    ],
    [
      'keeps a quarter of a container free in the others',
      { bots: [...fill(one, 3), ...fill(two, 1)], containers: [one, two] },
      [],
    ],
    [
      'leaves a pool alone that grew lately',
      { bots: [...fill(one, 1), ...fill(two, 1)], containers: [one, { ...two, createdAt: ago(3000) }] },
      [],
    ],
    [
      'does nothing while an upgrade is under way',
      { bots: [...fill(one, 1), ...fill(two, 1)], upgrade: { template: 'other' } },
      ['end the upgrade of other'],
    ],
    ['does nothing while somebody is unwell', { bots: [...fill(one, 1), ...fill(two, 1), aBot('lost')] }, []],
    [
      'does nothing until the pace allows it',
      { bots: [...fill(one, 1), ...fill(two, 1)], consolidatedAt: NOW - 59_000 },
      [],
    ],
    [
      'moves one bot after the other',
      { bots: [...fill(one, 1), ...fill(two, 2)], containers: [one, merged] },
      goes('two-0'),
    ],
    [
      'not before the pace allows it',
      { bots: [...fill(one, 1), ...fill(two, 2)], containers: [one, merged], consolidatedAt: NOW - 59_000 },
      [],
    ],
    [
      'opens the container again when its bots do not fit any more',
      { bots: [...fill(one, 3), ...fill(two, 2)], containers: [one, merged] },
      ['open two again: its bots do not fit into others any more'],
    ],
    [
      'removes it in the end',
      { bots: fill(one, 3), containers: [one, merged] },
      ['give up container two, which nobody needs any more'],
    ],
  ])('%s', (_, given, want) => {
    expect(planned({ ...base, ...given }).steps).toEqual(want);
  });
});
