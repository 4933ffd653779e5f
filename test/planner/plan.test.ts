import { describe, expect, it } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { Step } from '../../lib/domain/steps.ts';
import { explainStep } from '../../lib/planner/explain.ts';
import { plan } from '../../lib/planner/plan.ts';
import type { World } from '../../lib/planner/world.ts';
import {
  aBot,
  aContainer,
  anAgent,
  aService,
  aState,
  aTemplate,
  aWorld,
  inSlot,
  NOW,
  observedBot,
  observedContainer,
  worldWith,
} from './builders.ts';

const sentences = (world: World): string[] => plan(world).steps.map(explainStep);
const kinds = (world: World): Step['kind'][] => plan(world).steps.map((step) => step.kind);

const box = aContainer('bunkhouse-echo-1');
const bot = aBot('a', { placement: inSlot(box, 0), generation: 5, restartGeneration: 5, desiredGeneration: 5 });

describe('placement', () => {
  it('makes a container for the first bot and claims its first slot', () => {
    expect(sentences(aWorld({ state: aState([aBot('a')]) }))).toEqual([
      'reserve ports 9000 to 9002 for a new container bunkhouse-echo-1',
      'give a slot 0 (port 9000) in bunkhouse-echo-1',
    ]);
  });

  it('fills the fullest container first, lowest slot first', () => {
    const fuller = aContainer('bunkhouse-echo-2', { basePort: 9010 });
    const bots = [
      aBot('x', { placement: inSlot(box, 0) }),
      aBot('y', { placement: inSlot(fuller, 0) }),
      aBot('z', { placement: inSlot(fuller, 2) }),
      aBot('new'),
    ];
    const world = aWorld({ state: aState(bots, [box, fuller]) });
    expect(sentences(world)[0]).toBe('give new slot 1 (port 9011) in bunkhouse-echo-2');
  });

  it('makes exactly as many containers as bots need', () => {
    const bots = Array.from({ length: 7 }, (_, index) => aBot(`b${index}`));
    const world = aWorld({ state: aState(bots) });
    expect(kinds(world).filter((kind) => kind === 'recordContainer')).toHaveLength(3);
    expect(kinds(world).filter((kind) => kind === 'assign')).toHaveLength(7);
  });

  it('does not place a bot into a container that cannot be reached, nor one of another pool', () => {
    const other = aContainer('bunkhouse-echo-2', { basePort: 9010, pool: 'echo/others/local' });
    const world = {
      ...worldWith([aBot('new')], box, 'unknown'),
      state: aState([aBot('new')], [box, other]),
    };
    expect(sentences(world)).toContain('give new slot 0 (port 9003) in bunkhouse-echo-3');
  });

  it('makes no container where nobody can look, and says why; other locations go on', () => {
    const [here, there] = [aBot('here'), aBot('there', { location: 'weur' })];
    const world = aWorld({ state: aState([here, there]), unreachable: new Map([['weur', 'no way to weur']]) });
    const { steps, held } = plan(world);
    expect(steps).toMatchObject([{ kind: 'recordContainer' }, { kind: 'assign', bot: 'here' }]);
    expect(held).toEqual([{ target: 'there', why: 'no way to weur' }]);
  });

  it('waits while the driver cannot list containers', () => {
    const world = aWorld({ state: aState([aBot('a')]), listing: { kind: 'unknown', reason: 'no engine' } });
    expect(plan(world)).toEqual({ steps: [], held: [{ target: 'driver', why: 'no engine' }] });
  });

  it('keeps away from the ports of a container that no record knows', () => {
    const orphan = observedContainer(aContainer('bunkhouse-echo-1', { basePort: 9000 }));
    const world = aWorld({
      state: aState([aBot('a')]),
      listing: { kind: 'seen', value: new Map([[orphan.name, orphan]]) },
    });
    expect(sentences(world)[0]).toBe('reserve ports 9003 to 9005 for a new container bunkhouse-echo-2');
  });
});

describe('a container that could not be recorded', () => {
  it('is not tried again before its hold is over', () => {
    const holds = new Map([['container bunkhouse-echo-1', { until: NOW + 1, reason: 'the disk is full' }]]);
    const world = aWorld({ state: aState([aBot('a')]), holds });
    expect(plan(world)).toEqual({ steps: [], held: [{ target: 'a', why: 'the disk is full' }] });
    expect(kinds({ ...world, monotonic: NOW + 1 })).toEqual(['recordContainer', 'assign']);
  });
});

describe('containers', () => {
  it('makes a recorded container the driver does not have', () => {
    expect(sentences(aWorld({ state: aState([bot], [box]) }))).toEqual(['make container bunkhouse-echo-1']);
  });

  it.each([
    { status: 'stopped' as const, want: ['start container bunkhouse-echo-1'] },
    { status: 'unknown' as const, want: [] },
  ])('one that is $status', ({ status, want }) => {
    const listing = { kind: 'seen' as const, value: new Map([[box.name, observedContainer(box, status)]]) };
    expect(sentences(aWorld({ state: aState([bot], [box]), listing }))).toEqual(want);
  });

  it('leaves a busy one and one on hold alone', () => {
    const state = aState([bot], [box]);
    expect(kinds(aWorld({ state, busy: new Set([`container ${box.name}`]) }))).toEqual([]);
    const holds = new Map([[`container ${box.name}`, { until: NOW + 1, reason: 'port taken' }]]);
    expect(plan(aWorld({ state, holds }))).toEqual({ steps: [], held: [{ target: box.name, why: 'port taken' }] });
    const over = new Map([[`container ${box.name}`, { until: NOW, reason: 'port taken' }]]);
    expect(kinds(aWorld({ state, holds: over }))).toEqual(['createContainer']);
    // Whoever set the clock back meanwhile.
    const wall = NOW - 86_400_000;
    expect(kinds(aWorld({ state, holds: over, now: wall, leaseClock: wall }))).toEqual(['createContainer']);
  });

  it('removes one that is marked only when it is empty', () => {
    const marked = { ...box, removing: true };
    expect(kinds(worldWith([], marked, anAgent([])))).toEqual(['removeContainer']);
    expect(kinds(worldWith([bot], marked, anAgent([observedBot(bot)])))).toEqual([]);
    expect(kinds(aWorld({ state: aState([], [marked]) }))).toEqual(['forgetContainer']);
  });

  it.each([
    { desc: 'runs bots the store does not know', agent: anAgent([observedBot(aBot('z'))]), generation: 1 },
    { desc: 'cannot be asked', agent: 'unknown' as const, generation: 1 },
    { desc: 'is a newer one of the same name', agent: anAgent([]), generation: 2 },
  ])('keeps one that is marked but $desc', ({ agent, generation }) => {
    const world = worldWith([], { ...box, removing: true }, agent);
    const observed = { ...observedContainer(box), generation };
    const listing = { kind: 'seen' as const, value: new Map([[box.name, observed]]) };
    const { steps, held } = plan({ ...world, listing });
    expect(steps).toEqual([]);
    expect(held).toHaveLength(1);
  });
});

describe('a bot that is seen where no claim puts it', () => {
  const other = aContainer('bunkhouse-echo-2', { basePort: 9010 });
  const world = (record: BotRecord): World => {
    const listing = new Map([box, other].map((container) => [container.name, observedContainer(container)]));
    const seen = anAgent([observedBot(record, { slot: 1, port: 9011 })]);
    return aWorld({
      state: aState([record], [box, other]),
      listing: { kind: 'seen', value: listing },
      agents: new Map([
        [box.name, { kind: 'seen', value: anAgent([]) }],
        [other.name, { kind: 'seen', value: seen }],
      ]),
    });
  };

  it('gets that place when it has none', () => {
    expect(sentences(world(aBot('a')))).toEqual(['give a slot 1 (port 9011) in bunkhouse-echo-2']);
  });

  it('is neither started nor deleted in its own place while it runs there', () => {
    for (const record of [bot, { ...bot, deleting: true, generation: 6 }]) {
      const { steps, held } = plan(world(record));
      expect(steps).toEqual([]);
      expect(held[0]?.why).toContain('still runs in bunkhouse-echo-2');
    }
  });
});

describe('a placed bot', () => {
  it.each([
    { desc: 'is applied when its container does not know it', seen: [], want: ['applyBot'] },
    { desc: 'is applied when its container knows an older generation', seen: [{ generation: 4 }], want: ['applyBot'] },
    { desc: 'is left alone when all is as wished', seen: [{}], want: [] },
    { desc: 'is left to its container while it restarts', seen: [{ state: 'backoff' as const }], want: [] },
    {
      desc: 'is applied when the store was set back, so that the fence is found',
      seen: [{ generation: 9 }],
      want: ['applyBot'],
    },
  ])('$desc', ({ seen, want }) => {
    expect(kinds(worldWith([bot], box, anAgent(seen.map((over) => observedBot(bot, over)))))).toEqual(want);
  });

  it('is never touched while its container cannot be asked', () => {
    const deleting = { ...bot, deleting: true, generation: 6 };
    expect(kinds(worldWith([deleting], box, 'unknown'))).toEqual([]);
  });

  it('stays stopped when its owner stopped it', () => {
    const stopped = { ...bot, desired: 'stopped' as const };
    const world = worldWith([stopped], box, anAgent([]));
    const [step] = plan(world).steps;
    expect(step).toMatchObject({ kind: 'applyBot', spec: { run: false } });
    const seen = observedBot(stopped, { run: false, state: 'stopped', pid: null });
    expect(kinds(worldWith([stopped], box, anAgent([seen])))).toEqual([]);
  });

  it('is held, not the pass, when it does not fit its template', () => {
    const templates = new Map([['echo', aTemplate({ command: ['{{secret.token}}'] })]]);
    const world = worldWith([bot], box, anAgent([]), { templates });
    expect(plan(world).held).toEqual([
      { target: 'a', why: 'does not fit its template echo: the bot has no secret named token' },
    ]);
  });
});

describe('an unhealthy bot', () => {
  const sick = { startedAt: 1, passed: true, failures: 3, reason: 'no answer' };
  const agent = anAgent([observedBot(bot)]);

  it('is restarted once its failures reach the threshold', () => {
    expect(sentences(worldWith([bot], box, agent, { health: new Map([['a', sick]]) }))).toEqual([
      'restart a: no answer',
    ]);
    const fewer = new Map([['a', { ...sick, failures: 2 }]]);
    expect(kinds(worldWith([bot], box, agent, { health: fewer }))).toEqual([]);
  });

  it('is not judged by the checks of an earlier life', () => {
    const earlier = new Map([['a', { ...sick, startedAt: 0.5 }]]);
    expect(kinds(worldWith([bot], box, agent, { health: earlier }))).toEqual([]);
  });

  it('waits for its backoff between two restarts', () => {
    const health = new Map([['a', sick]]);
    const restartHolds = new Map([['a', { until: NOW + 1, reason: 'restarted 2 times already' }]]);
    const held = plan(worldWith([bot], box, agent, { health, restartHolds }));
    expect(held).toEqual({ steps: [], held: [{ target: 'a', why: 'no answer; restarted 2 times already' }] });
  });

  it('is one whose port another process holds', () => {
    const robbed = anAgent([observedBot(bot, { listener: 'other' })]);
    expect(sentences(worldWith([bot], box, robbed))).toEqual(['restart a: port 9000 is held by another process']);
  });
});

describe('pause and resume', () => {
  const call = { method: 'POST' as const, path: '/pause', headers: {} };
  const templates = new Map([['echo', aTemplate({ control: { pause: call, resume: call } })]]);
  const paused = { ...bot, desired: 'paused' as const, generation: 7, desiredGeneration: 7 };

  it('is told once to a process that was started under the other wish', () => {
    const agent = anAgent([observedBot(paused, { startedGeneration: 5 })]);
    expect(sentences(worldWith([paused], box, agent, { templates }))).toEqual(['pause a by its control call']);
    const told = { ...paused, controlledGeneration: 7 };
    expect(kinds(worldWith([told], box, agent, { templates }))).toEqual([]);
  });

  it('is left to the restart of a bot that hangs and would not hear the call', () => {
    const agent = anAgent([observedBot(paused, { startedGeneration: 5 })]);
    const health = new Map([['a', { startedAt: 1, passed: true, failures: 3, reason: 'no answer' }]]);
    expect(kinds(worldWith([paused], box, agent, { templates, health }))).toEqual(['restartBot']);
  });

  it('needs no call when the process was started under this wish', () => {
    const agent = anAgent([observedBot(paused, { startedGeneration: 7 })]);
    expect(kinds(worldWith([paused], box, agent, { templates }))).toEqual([]);
  });
});

describe('deleting a bot', () => {
  const deleting = { ...bot, deleting: true, generation: 6 };
  const dead = { run: false, state: 'stopped' as const, pid: null };

  it.each([
    { desc: 'stops it first', record: deleting, seen: { generation: 5 }, dirs: ['a'], want: ['applyBot'] },
    {
      desc: 'waits until it is stopped',
      record: deleting,
      seen: { state: 'stopping' as const, run: false },
      dirs: ['a'],
      want: [],
    },
    { desc: 'then archives it', record: deleting, seen: dead, dirs: ['a'], want: ['archiveBot'] },
    { desc: 'then removes it', record: { ...deleting, archive: 'x' }, seen: dead, dirs: ['a'], want: ['removeBot'] },
    {
      desc: 'removes it also where it is not seen, so that its container refuses what was sent earlier',
      record: deleting,
      seen: null,
      dirs: [],
      want: ['removeBot'],
    },
    {
      desc: 'archives what a restarted container holds',
      record: deleting,
      seen: null,
      dirs: ['a'],
      want: ['archiveBot'],
    },
  ])('$desc', ({ record, seen, dirs, want }) => {
    const bots = seen === null ? [] : [observedBot(record, seen)];
    expect(kinds(worldWith([record], box, anAgent(bots, dirs)))).toEqual(want);
  });

  it('tells a restarted container of it first where it keeps something in services, so that this is saved too', () => {
    const templates = new Map([['echo', aTemplate({ services: { db: aService() } })]]);
    const world = (...rest: Parameters<typeof anAgent>) =>
      worldWith([deleting], box, { ...anAgent(...rest), serviceDirectories: ['db'] }, { templates });
    const [step] = plan(world([], ['a'])).steps;
    expect(step).toMatchObject({
      kind: 'applyBot',
      spec: { run: false, generation: 6, services: [{ service: { command: ['db', '--data=/box/services/db'] } }] },
    });
    expect(kinds(world([observedBot(deleting, dead)], ['a']))).toEqual(['archiveBot']);
    expect(kinds(world([], []))).toEqual(['removeBot']);
    expect(plan({ ...world([], ['a']), templates: new Map() })).toMatchObject({
      steps: [],
      held: [{ target: 'a', why: expect.stringContaining('may keep something in db') }],
    });
  });

  it('forgets at once a bot that never got a place', () => {
    expect(kinds(aWorld({ state: aState([aBot('a', { deleting: true })]) }))).toEqual(['forgetBot']);
  });

  it('never counts a bot waiting to be tried again as dead', () => {
    const waiting = observedBot(deleting, { run: true, state: 'backoff', pid: null });
    expect(kinds(worldWith([deleting], box, anAgent([waiting])))).toEqual([]);
  });
});

describe('a container of one bot', () => {
  const own = { ...box, capacity: 1, soleBot: 'a' };
  const legacy = { cause: 'asked', why: 'asked for', since: '2026-01-01T00:00:00.000Z' } as const;
  const elsewhere = aContainer('bunkhouse-echo-2', { basePort: 9010 });

  it('is made for a bot that is to be alone, and holds no other', () => {
    const world = aWorld({ state: aState([aBot('a', { legacy }), aBot('b'), aBot('c')]) });
    expect(sentences(world)).toEqual([
      'reserve ports 9000 to 9000 for a new container bunkhouse-echo-1',
      'give a slot 0 (port 9000) in bunkhouse-echo-1',
      'reserve ports 9001 to 9003 for a new container bunkhouse-echo-2',
      'give b slot 0 (port 9001) in bunkhouse-echo-2',
      'give c slot 1 (port 9002) in bunkhouse-echo-2',
    ]);
  });

  it.each<[string, string | null, string | null]>([
    ['the image of its pool', null, 'shared:1'],
    ['an image of its own', 'alone:1', 'alone:1'],
  ])('has %s', (_, image, expected) => {
    const templates = new Map([['echo', aTemplate({ image: 'shared:1', legacy: { image } })]]);
    const { steps } = plan(aWorld({ state: aState([aBot('a', { legacy })]), templates }));
    expect(steps[0]).toMatchObject({ kind: 'recordContainer', container: { image: expected } });
  });

  it.each<[string, BotRecord[], Step['kind'][]]>([
    ['stays while its bot is in it', [aBot('a', { legacy, placement: inSlot(own, 0) })], ['applyBot']],
    ['waits for its bot, which has no place yet', [aBot('a', { legacy })], ['assign']],
    ['goes when its bot was forgotten', [], ['retireContainer']],
    ['goes when its bot has gone elsewhere', [aBot('a', { placement: inSlot(elsewhere, 0) })], ['retireContainer']],
  ])('%s', (_, bots, expected) => {
    expect(kinds(worldWith(bots, own, anAgent([])))).toEqual(expected);
  });

  it('goes without having been made', () => {
    expect(kinds(aWorld({ state: aState([], [own]) }))).toEqual(['retireContainer']);
  });

  it.each<[string, World, string]>([
    ['nobody can ask it', worldWith([], own, 'unknown'), 'no answer'],
    [
      'it has things of others',
      worldWith([], own, anAgent([], ['z'])),
      'z is left in it by bots the store does not know: cleanup archives that',
    ],
    [
      'it runs something',
      worldWith([], own, anAgent([observedBot(aBot('z'))])),
      'runs bots the store does not know: z',
    ],
  ])('stays when its bot is gone but %s', (_, world, why) => {
    expect(plan(world)).toEqual({ steps: [], held: [{ target: own.name, why }] });
  });

  it('is started first, when it is to go but is stopped', () => {
    const listing = { kind: 'seen' as const, value: new Map([[own.name, observedContainer(own, 'stopped')]]) };
    expect(kinds(aWorld({ state: aState([], [own]), listing }))).toEqual(['startContainer']);
  });
});
