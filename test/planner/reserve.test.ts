import { describe, expect, it } from 'vitest';
import type { AgentObservation, BotObservation } from '../../lib/domain/agent.ts';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import type { LeaseRecord } from '../../lib/domain/lease.ts';
import type { LeaseRule } from '../../lib/domain/template.ts';
import { deriveState } from '../../lib/planner/bot-state.ts';
import { explainStep } from '../../lib/planner/explain.ts';
import { plan } from '../../lib/planner/plan.ts';
import { planRefill } from '../../lib/planner/refill.ts';
import { isFit, readyBots } from '../../lib/planner/reserve.ts';
import type { ReserveTarget, Seen, World } from '../../lib/planner/world.ts';
import { aLease, aMember, moment, withLeases } from '../services/lease-records.ts';
import {
  aContainer,
  anAgent,
  aState,
  aTemplate,
  aWorld,
  ECHO_HERE,
  inSlot,
  NOW,
  observedBot,
  observedContainer,
} from './builders.ts';

const box = aContainer('bunkhouse-echo-1', { capacity: 9 });
const RULE: LeaseRule = {
  ttlSeconds: 60,
  maxTtlSeconds: 600,
  perOwner: null,
  access: {},
  reserve: { target: null, locations: {}, min: null, batchSize: null, batchSpacingSeconds: null, windows: [] },
  reset: { steps: [], verify: [] },
};
const NONE: ReserveTarget = {
  ...ECHO_HERE,
  target: 0,
  min: 0,
  max: 99,
  batchSize: 10,
  notBefore: 0,
  why: '',
  refilling: false,
};
const FULL: ReserveTarget = { ...NONE, target: 5, min: 2, refilling: true };

interface Given {
  readonly bots?: readonly BotRecord[];
  readonly leases?: readonly LeaseRecord[];
  readonly reserve?: ReserveTarget;
  readonly rule?: LeaseRule | null;
  readonly seen?: (bot: BotRecord) => Partial<BotObservation>;
  readonly world?: Partial<World>;
}

/** Every bot is in the one container, which reports it as it is wanted unless `seen` says otherwise. */
function worldOf({ bots = [], leases = [], reserve = NONE, rule = RULE, seen = () => ({}), world = {} }: Given): World {
  const placed = bots.map((bot, slot) => ({ ...bot, placement: inSlot(box, slot) }));
  const observed = placed.map((bot) => {
    const run = bot.desired === 'running' && !bot.deleting;
    return observedBot(bot, { run, state: run ? 'running' : 'stopped', ...seen(bot) });
  });
  return aWorld({
    state: { ...withLeases(placed, leases), containers: { [box.name]: box } },
    templates: new Map([
      ['echo', aTemplate({ lease: rule, readiness: { ...aTemplate().readiness, startupSeconds: 30 } })],
    ]),
    listing: { kind: 'seen', value: new Map([[box.name, observedContainer(box)]]) },
    agents: new Map([[box.name, { kind: 'seen', value: anAgent(observed) }]]),
    reserves: rule === null ? new Map() : new Map([['echo/local', reserve]]),
    ...world,
  });
}

const sentences = (given: Given): string[] => plan(worldOf(given)).steps.map(explainStep);
const expired = (id: string): BotRecord => aMember(id, 'expired', { desired: 'stopped' });
const members = (phase: 'ready' | 'warming' | 'assigned', count: number): BotRecord[] =>
  Array.from({ length: count }, (_, n) => aMember(`${phase}-${n}`, phase));
const leasesOf = (bots: readonly BotRecord[]): LeaseRecord[] =>
  bots.flatMap(({ instanceId, reserve }) =>
    reserve?.phase === 'assigned' ? [aLease(reserve.lease ?? '', { bot: instanceId })] : [],
  );

describe('from one lease to the next', () => {
  const stale = (bot: BotRecord): Partial<BotObservation> => ({ generation: bot.generation - 1 });
  const LATE = -631;
  it.each<{ what: string; given: Given; steps: string[] }>([
    { what: 'a warm bot that runs is ready', given: { bots: [aMember('a', 'warming')] }, steps: ['take a for ready'] },
    {
      what: 'not one that runs as it was recorded before',
      given: { bots: [aMember('a', 'warming', { generation: 2 })], seen: stale },
      steps: ['run a in bunkhouse-echo-1 (generation 2)'],
    },
    {
      what: 'one that is not well yet has its start and ten minutes',
      given: { bots: [aMember('a', 'warming', {}, LATE + 2)], seen: () => ({ state: 'backoff' }) },
      steps: [],
    },
    {
      what: 'and is given up then',
      given: { bots: [aMember('a', 'warming', {}, LATE)], seen: () => ({ state: 'backoff', reason: 'exited' }) },
      steps: ['give up a: not well 630 s after it was made: backoff exited'],
    },
    {
      what: 'a ready one that fails has to prove itself again',
      given: { bots: [aMember('a', 'ready')], seen: () => ({ state: 'backoff', reason: 'exited' }) },
      steps: ['take a for ready no more: backoff exited'],
    },
    {
      what: 'one that is just being restarted has not failed',
      given: { bots: [aMember('a', 'ready')], seen: () => ({ state: 'starting' }) },
      steps: [],
    },
    {
      what: 'one on lease is left alone',
      given: { bots: [aMember('a', 'assigned')], leases: [aLease('lease-of-a', { bot: 'a' })] },
      steps: [],
    },
    {
      what: 'unless no lease says who has it',
      given: { bots: [aMember('a', 'assigned')] },
      steps: ['delete a with its data: no lease says who has it'],
    },
    { what: 'a stopped one is cleaned', given: { bots: [expired('a')] }, steps: ['clean a after its lease'] },
    {
      what: 'one that still stops is waited for',
      given: { bots: [expired('a')], seen: () => ({ state: 'stopping' }) },
      steps: [],
    },
    {
      what: 'one that was stopped before the lease ended is no proof',
      given: { bots: [aMember('a', 'expired', { desired: 'stopped', generation: 2 })], seen: stale },
      steps: ['stop a in bunkhouse-echo-1 (generation 2)'],
    },
    {
      what: 'one that was half cleaned is cleaned again',
      given: { bots: [aMember('a', 'resetting', { desired: 'stopped' })] },
      steps: ['clean a after its lease'],
    },
    {
      what: 'without a reset it is deleted',
      given: { bots: [expired('a')], rule: { ...RULE, reset: null } },
      steps: ['delete a with its data: its template has no reset'],
    },
    {
      what: 'a bot that is being deleted is removed without an archive',
      given: { bots: [{ ...expired('a'), deleting: true }] },
      steps: ['remove a from bunkhouse-echo-1'],
    },
  ])('$what', ({ given, steps }) => {
    expect(sentences(given)).toEqual(steps);
  });

  it('waits while the container cannot be asked, however long', () => {
    const bots = [aMember('a', 'warming', {}, -99_999), expired('b'), aMember('c', 'ready')];
    const world = worldOf({ bots });
    expect(plan({ ...world, agents: new Map([[box.name, { kind: 'unknown', reason: 'no answer' }]]) }).steps).toEqual(
      [],
    );
  });
});

describe('leases', () => {
  const over = aLease('lease-of-a', { bot: 'a', expiresAt: moment(0) });
  const bots = [aMember('a', 'assigned')];

  it('end when their time is over, also while nothing can be seen', () => {
    const end = ['end the lease of a, which is over'];
    expect(sentences({ bots, leases: [over] })).toEqual(end);
    expect(sentences({ bots, leases: [over], world: { leaseClock: NOW - 1 } })).toEqual([]);
    const blind = worldOf({ bots, leases: [over], world: { listing: { kind: 'unknown', reason: 'no answer' } } });
    expect(plan(blind).steps.map(explainStep)).toEqual(end);
  });

  it.each([
    { what: 'whose warm bot runs already are told without haste', lease: { fromPool: true }, sake: 'telling' },
    { what: 'whose bot is being made have somebody who waits for it', lease: { fromPool: false }, sake: 'demand' },
  ])('$what', ({ lease, sake }) => {
    const leases = [aLease('lease-of-a', { bot: 'a', ...lease })];
    const { steps } = plan(worldOf({ bots, leases, seen: ({ generation }) => ({ generation: generation - 1 }) }));
    expect(steps).toMatchObject([{ kind: 'applyBot', sake }]);
  });

  it('end whatever trouble their bot is in, but not again at once when that failed', () => {
    const hold = { until: NOW + 1, reason: 'disk full' };
    expect(sentences({ bots, leases: [over], world: { holds: new Map([['bot a', hold]]) } })).toHaveLength(1);
    expect(sentences({ bots, leases: [over], world: { holds: new Map([['lease lease-of-a', hold]]) } })).toEqual([]);
  });

  it.each([
    { byMs: 999, steps: [] },
    { byMs: 1000, steps: ['move all leases by 1 s, because the clock was set'] },
    { byMs: -3_600_000, steps: ['move all leases by -3600 s, because the clock was set'] },
  ])('move with a clock that is set by $byMs ms', ({ byMs, steps }) => {
    expect(sentences({ world: { now: NOW + byMs } })).toEqual(steps);
  });

  it('are forgotten an hour after their end, many at a time', () => {
    const ended = (seconds: number) => aLease('old', { end: { at: moment(-seconds), how: 'released' } });
    expect(sentences({ leases: [ended(3601)] })).toEqual([]);
    expect(sentences({ leases: [ended(3901)] })).toEqual(['forget leases that ended long ago']);
  });

  it('are forgotten sooner when very many ended', () => {
    const end = { at: moment(-1), how: 'released' } as const;
    const leases = Array.from({ length: 10_001 }, (_, n) => aLease(`l${n}`, { end }));
    expect(sentences({ leases: leases.slice(1) })).toEqual([]);
    expect(sentences({ leases })).toEqual(['forget leases that ended long ago']);
  });
});

describe('refilling', () => {
  const make = (count: number) => [`make ${count} warm bots of template echo in local`];
  it.each<{ what: string; bots?: BotRecord[]; reserve?: Partial<ReserveTarget>; steps: string[] }>([
    { what: 'an empty reserve is filled', steps: make(5) },
    { what: 'a batch at a time', reserve: { batchSize: 2 }, steps: make(2) },
    {
      what: 'what is on its way counts',
      bots: [...members('ready', 1), expired('x')],
      steps: [...make(3), 'clean x after its lease'],
    },
    { what: 'what is on lease does not', bots: members('assigned', 3), steps: make(5) },
    { what: 'but counts towards the most', bots: members('assigned', 3), reserve: { max: 5 }, steps: make(2) },
    { what: 'not above the most', bots: members('assigned', 3), reserve: { max: 3 }, steps: [] },
    { what: 'not before it fell below the minimum', reserve: { refilling: false }, steps: [] },
    { what: 'a full one is left alone', bots: members('ready', 5), steps: [] },
    { what: 'a target of none', reserve: { target: 0 }, steps: [] },
  ])('$what', ({ bots = [], reserve = {}, steps }) => {
    const planned = sentences({ bots, leases: leasesOf(bots), reserve: { ...FULL, ...reserve } });
    expect(planned.toSorted()).toEqual(steps.toSorted());
  });

  it('does not ask for what there is no room for until others are gone', () => {
    const deleting = aMember('x', 'ready', { deleting: true });
    const given = { bots: [deleting, ...members('warming', 1)], seen: () => ({ state: 'starting' as const }) };
    expect(sentences({ ...given, reserve: { ...FULL, max: 2 } }).filter((step) => step.startsWith('make'))).toEqual([]);
    expect(sentences({ ...given, reserve: { ...FULL, max: 3 } })).toContain(make(1)[0]);
  });

  it.each<{ what: string; here: Partial<ReserveTarget>; there: Partial<ReserveTarget>; made: string[] }>([
    { what: 'both are filled', here: {}, there: {}, made: ['5 in local', '5 in weur'] },
    { what: 'one is enough without the other', here: { target: 0 }, there: { target: 2 }, made: ['2 in weur'] },
    { what: 'the most is of both together', here: { max: 4 }, there: { max: 4 }, made: ['1 in local', '1 in weur'] },
    { what: 'one waits and the other does not', here: { notBefore: NOW + 1 }, there: {}, made: ['5 in weur'] },
  ])('in two locations: $what', ({ here, there, made }) => {
    const bots = members('assigned', 3);
    const reserves = new Map([
      ['echo/local', { ...FULL, ...here }],
      ['echo/weur', { ...FULL, ...there, location: 'weur' }],
    ]);
    const { steps } = plan(worldOf({ bots, leases: leasesOf(bots), world: { reserves } }));
    const counted = steps.flatMap((step) => (step.kind === 'addReserve' ? [`${step.count} in ${step.location}`] : []));
    expect(counted).toEqual(made);
  });

  it('keeps what cannot be seen, however many', () => {
    const bots = [aMember('old', 'ready', {}, -9999)];
    const hidden = {
      ...observedContainer(box),
      status: 'unknown' as const,
      reason: 'location local cannot be reached',
    };
    const world = worldOf({
      bots,
      reserve: { ...FULL, target: 0 },
      world: { listing: { kind: 'seen', value: new Map([[box.name, hidden]]) }, agents: new Map() },
    });
    expect(plan(world).steps).toEqual([]);
  });

  it('waits for its moment and says why', () => {
    const waiting = plan(worldOf({ reserve: { ...FULL, notBefore: NOW + 1, why: 'the last one did not start' } }));
    expect(waiting).toEqual({ steps: [], held: [{ target: 'echo/local', why: 'the last one did not start' }] });
    const failed = new Map([['reserve echo/local', { until: NOW + 1, reason: 'disk full' }]]);
    const held = plan(worldOf({ reserve: FULL, world: { holds: failed } }));
    expect(held).toEqual({ steps: [], held: [{ target: 'echo/local', why: 'disk full' }] });
    expect(sentences({ reserve: { ...FULL, notBefore: NOW } })).toEqual(make(5));
  });

  it('lets go of those nobody wanted for ten minutes, longest waiting first', () => {
    const bots = [
      aMember('new', 'ready', {}, -599),
      aMember('old', 'ready', {}, -601),
      aMember('older', 'ready', {}, -900),
    ];
    const gone = (name: string) => `delete ${name} with its data: more are ready than wanted`;
    expect(sentences({ bots, reserve: { ...FULL, target: 2 } })).toEqual([gone('older')]);
    expect(sentences({ bots, reserve: { ...FULL, target: 0 } })).toEqual([gone('older'), gone('old')]);
    expect(sentences({ bots, rule: null })).toEqual([gone('older'), gone('old')]);
  });

  it('keeps bots of a template that is gone, which may be a mistake', () => {
    const world = worldOf({
      bots: [aMember('a', 'ready', {}, -9999)],
      world: { templates: new Map(), reserves: new Map() },
    });
    expect(plan(world).steps.filter((step) => step.kind === 'discardBot')).toEqual([]);
  });
});

describe('warm bots of a container that is being emptied', () => {
  const closed = { ...box, emptying: { why: 'upgrade', since: moment(0) } } as const;
  const next = aContainer('bunkhouse-echo-2', { basePort: 9100, capacity: 9 });
  const some = (phase: 'ready' | 'warming', count: number, at: ContainerRecord): BotRecord[] =>
    Array.from({ length: count }, (_, n) =>
      aMember(`${phase}-${at.name.slice(-1)}-${n}`, phase, { placement: inSlot(at, n) }),
    );
  const ready = (count: number) => some('ready', count, next);
  const planned = (
    old: readonly BotRecord[],
    kept: readonly BotRecord[],
    reserve: Partial<ReserveTarget> = {},
  ): string[] => {
    const observed = (bots: readonly BotRecord[]): Seen<AgentObservation> => ({
      kind: 'seen',
      value: anAgent(bots.map((bot) => observedBot(bot))),
    });
    const given = worldOf({ reserve: { ...FULL, ...reserve } });
    const bots = [...old, ...kept];
    const world = {
      ...given,
      state: { ...aState(bots, [closed, next]) },
      listing: { kind: 'seen', value: new Map([closed, next].map((at) => [at.name, observedContainer(at)])) },
      agents: new Map([
        [closed.name, observed(old)],
        [next.name, observed(kept)],
      ]),
    } as const;
    return planRefill(world).steps.map(explainStep);
  };
  const gone = (...bots: string[]): string[] =>
    bots.map((bot) => `delete ${bot} with its data: its container is being emptied`);

  it.each<[string, string[], string[]]>([
    [
      'do not count: others are made',
      planned(some('ready', 5, closed), []),
      ['make 5 warm bots of template echo in local'],
    ],
    ['stay until others are ready', planned(some('ready', 5, closed), some('warming', 5, next)), []],
    ['go as others get ready', planned(some('ready', 5, closed), ready(2)), gone('ready-1-0', 'ready-1-1')],
    ['go all in the end', planned(some('ready', 2, closed), ready(5)), gone('ready-1-0', 'ready-1-1')],
    ['go also when they never got ready', planned(some('warming', 1, closed), ready(5)), gone('warming-1-0')],
    [
      'make room where there may be no more, down to the minimum',
      planned(some('ready', 5, closed), [], { max: 5 }),
      gone('ready-1-0', 'ready-1-1', 'ready-1-2'),
    ],
    ['do not go below the minimum', planned(some('ready', 5, closed), [], { max: 5, min: 5 }), []],
  ])('%s', (_, steps, want) => {
    expect(steps).toEqual(want);
  });

  it('are handed out last', () => {
    const bots = [...some('ready', 1, closed), ...ready(1)];
    expect(readyBots(aState(bots, [closed, next])).get('echo/local')).toEqual(['ready-2-0', 'ready-1-0']);
  });
});

describe('bots to hand out', () => {
  const bots = [
    aMember('young', 'ready', {}, -1),
    aMember('old', 'ready', {}, -9),
    aMember('warm', 'warming'),
    aMember('ill', 'ready', {}, -5),
    aMember('outdated', 'ready', { generation: 2 }, -7),
    aMember('gone', 'ready', { deleting: true }),
  ];
  const seen = ({ instanceId }: BotRecord): Partial<BotObservation> =>
    instanceId === 'ill' ? { state: 'starting' } : instanceId === 'outdated' ? { generation: 1 } : {};
  const world = worldOf({ bots, seen });

  it('are ready, longest waiting first', () => {
    expect(readyBots(world.state)).toEqual(new Map([['echo/local', ['old', 'outdated', 'ill', 'young']]]));
  });

  it('are fit as long as they run well, as they are recorded now', () => {
    const fit = world.state.bots.records.filter((bot) => isFit(bot, deriveState(world, bot)));
    const names = fit.map(({ instanceId }) => instanceId);
    expect(['old', 'outdated', 'ill', 'young'].filter((name) => names.includes(name))).toEqual(['old', 'young']);
  });
});
