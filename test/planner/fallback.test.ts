import { describe, expect, it } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { ErrorCode } from '../../lib/domain/errors.ts';
import { reserveLife } from '../../lib/domain/lease.ts';
import type { Move } from '../../lib/domain/move.ts';
import { explainStep } from '../../lib/planner/explain.ts';
import { plan } from '../../lib/planner/plan.ts';
import type { World } from '../../lib/planner/world.ts';
import {
  aBot,
  aContainer,
  anAgent,
  aState,
  aTemplate,
  aWorld,
  inSlot,
  NOW,
  observedBot,
  observedContainer,
} from './builders.ts';

const SINCE = '2026-01-01T00:00:00.000Z';
const box = aContainer('box', { entered: false, image: 'shared:1' });
const bot = aBot('a', { placement: inSlot(box, 0) });
const own = aContainer('own', { entered: false, capacity: 1, basePort: 9010, soleBot: 'a' });
const alone = aBot('a', { placement: inSlot(own, 0), legacy: { cause: 'fallback', why: 'no image', since: SINCE } });

/** A world in which making this container failed so often, the last time with this code. */
function failing(name: string, code: ErrorCode, count: number, world: Partial<World>): World {
  const lane = `container ${name}`;
  return aWorld({
    templates: new Map([['echo', aTemplate({ image: 'shared:1' })]]),
    holds: new Map([[lane, { until: NOW + 1000, reason: 'it cannot be made' }]]),
    failures: new Map([[lane, { code, count, reason: 'it cannot be made' }]]),
    ...world,
  });
}

const sentences = (world: World): string[] => plan(world).steps.map(explainStep);
const FALLS_BACK = ['give a a container of its own, because the pool cannot take it: it cannot be made'];

describe('a bot whose shared container cannot be made', () => {
  const state = aState([bot], [box]);

  it.each<[ErrorCode, number, string[]]>([
    ['INTERNAL', 1, []],
    ['INTERNAL', 2, []],
    ['INTERNAL', 3, FALLS_BACK],
    ['AGENT_UNAVAILABLE', 3, FALLS_BACK],
    ['PORT_IN_USE', 3, FALLS_BACK],
    ['DRIVER_UNAVAILABLE', 99, []],
    ['DEADLINE', 99, []],
    // Alone it would need the same image.
    ['NOT_FOUND', 99, []],
    ['UNSUPPORTED', 99, []],
  ])('with %s for the %i. time', (code, count, expected) => {
    expect(sentences(failing('box', code, count, { state }))).toEqual(expected);
  });

  it.each<ErrorCode>(['NOT_FOUND', 'UNSUPPORTED'])('with %s is alone at once where that has another image', (code) => {
    const templates = new Map([['echo', aTemplate({ image: 'shared:1', legacy: { image: 'alone:1' } })]]);
    expect(sentences(failing('box', code, 1, { state, templates }))).toEqual(FALLS_BACK);
  });

  const legacy = { cause: 'asked', why: '', since: SINCE } as const;
  const elsewhere = aContainer('other', { basePort: 9020 });
  it.each<[string, Partial<World>]>([
    ['that knew bots before', { state: aState([bot], [{ ...box, entered: true }]) }],
    [
      'that is there after all',
      { state, listing: { kind: 'seen', value: new Map([['box', observedContainer(box)]]) } },
    ],
    [
      'that nobody can look at',
      { state, listing: { kind: 'seen', value: new Map([['box', observedContainer(box, 'unknown')]]) } },
    ],
    ['of a location that cannot be reached', { state, unreachable: new Map([['local', 'no way']]) }],
    ['that is being made', { state, busy: new Set(['container box']) }],
    ['and that is being changed', { state, busy: new Set(['bot a']) }],
    ['and that is to be deleted', { state: aState([{ ...bot, deleting: true }], [box]) }],
    ['and that is on its way', { state: aState([{ ...bot, move: {} as Move }], [box]) }],
    [
      'and that the reserve is to have',
      { state: aState([{ ...bot, reserve: reserveLife('warming', SINCE, null, 0) }], [box]) },
    ],
    ['and that is in another', { state: aState([aBot('a', { placement: inSlot(elsewhere, 0) })], [box, elsewhere]) }],
    ['and that was to be alone anyway', { state: aState([{ ...bot, legacy }], [box]) }],
  ])('does not fall back from one %s', (_, world) => {
    const { steps } = plan(failing('box', 'INTERNAL', 9, world));
    expect(steps.filter(({ kind }) => kind === 'fallBack')).toEqual([]);
  });

  it('leaves a container that goes, once nobody waits for it', () => {
    const over = { state: aState([], [box]), holds: new Map() };
    expect(sentences(failing('box', 'INTERNAL', 3, over))).toEqual([
      'give up container box, which nobody needs any more',
    ]);
    expect(sentences(aWorld({ state: aState([], [box]) }))).toEqual(['make container box']);
  });

  it('says so', () => {
    expect(plan(failing('box', 'INTERNAL', 2, { state })).held).toEqual([{ target: 'box', why: 'it cannot be made' }]);
  });
});

describe('a bot for whom there is no free range of ports', () => {
  const limits = { ...aWorld().limits, basePort: 65_534 };
  it('is alone, because that takes one port', () => {
    expect(sentences(aWorld({ state: aState([aBot('a')]), limits }))).toEqual([
      'give a a container of its own, because the pool cannot take it: no free range of ports at or above 65534',
    ]);
  });

  it.each<[string, Partial<BotRecord>, Partial<World>]>([
    ['there is not even one', {}, { blockedPorts: new Set([65_534, 65_535]) }],
    ['nobody waits for it', { reserve: reserveLife('warming', SINCE, null, 0) }, {}],
  ])('waits when %s', (_, facts, world) => {
    const { steps, held } = plan(aWorld({ state: aState([aBot('a', facts)]), limits, ...world }));
    expect(steps).toEqual([]);
    expect(held).toEqual([{ target: 'a', why: 'no free range of ports at or above 65534' }]);
  });
});

describe('a bot that fell back and cannot be alone either', () => {
  const room = aContainer('room', { basePort: 9020 });
  const other = aBot('b', { placement: inSlot(room, 0) });
  const seen = {
    listing: { kind: 'seen', value: new Map([['room', observedContainer(room)]]) },
    agents: new Map([['room', { kind: 'seen', value: anAgent([observedBot(other)]) }]]),
  } satisfies Partial<World>;

  it('goes back into the pool as soon as that has room', () => {
    expect(sentences(failing('own', 'NOT_FOUND', 1, { state: aState([alone, other], [own, room]), ...seen }))).toEqual([
      'bring a back into the pool, because it cannot have a container of its own',
    ]);
  });

  it.each<[string, World]>([
    ['the pool has none', failing('own', 'NOT_FOUND', 1, { state: aState([alone], [own]) })],
    [
      'that is not there yet',
      failing('own', 'NOT_FOUND', 1, { state: aState([alone], [own, { ...box, basePort: 9030 }]) }),
    ],
    [
      'it was there once',
      failing('own', 'INTERNAL', 9, { state: aState([alone, other], [{ ...own, entered: true }, room]), ...seen }),
    ],
    [
      'somebody wanted it alone',
      failing('own', 'INTERNAL', 9, {
        state: aState([{ ...alone, legacy: { cause: 'asked', why: '', since: SINCE } }, other], [own, room]),
        ...seen,
      }),
    ],
  ])('waits when %s', (_, world) => {
    expect(plan(world).steps.filter(({ kind }) => kind === 'rejoinPool')).toEqual([]);
  });
});
