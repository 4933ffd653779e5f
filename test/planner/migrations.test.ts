import { describe, expect, it } from 'vitest';
import type { BotObservation } from '../../lib/domain/agent.ts';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { MigrationRecord } from '../../lib/domain/migration.ts';
import { Table } from '../../lib/domain/table.ts';
import { planMigrations } from '../../lib/planner/migrations.ts';
import type { World } from '../../lib/planner/world.ts';
import {
  aBot,
  aContainer,
  aMigration,
  anAgent,
  aState,
  aWorld,
  NOW,
  observedBot,
  observedContainer,
} from './builders.ts';

const at = (ms: number): string => new Date(ms).toISOString();

const BOX = aContainer('box');
const placed = (overrides: Partial<BotRecord> = {}): BotRecord =>
  aBot('a', { desired: 'stopped', placement: { container: 'box', slot: 0, port: 9000 }, ...overrides });
const DEAD = { run: false, state: 'stopped', pid: null, startedAt: null, readyAt: null } as const;

type Sight = Partial<BotObservation> | 'unseen' | 'silent';

function worldOf(migrations: readonly MigrationRecord[], bot: BotRecord | null, sight: Sight = DEAD): World {
  const bots = bot === null ? [] : [bot];
  const seen = sight === 'unseen' || sight === 'silent' || bot === null ? [] : [observedBot(bot, sight)];
  const table = Table.from(migrations.map((one) => [one.instanceId, one] as const));
  return aWorld({
    state: { ...aState(bots, [BOX]), migrations: table },
    listing: { kind: 'seen', value: new Map([['box', observedContainer(BOX)]]) },
    agents: new Map([
      ['box', sight === 'silent' ? { kind: 'unknown', reason: 'silent' } : { kind: 'seen', value: anAgent(seen) }],
    ]),
  });
}

/** What is done, in short: `work`, the phase it turns to, `back: why`, or `held: why`. */
function outcome(migration: MigrationRecord, bot: BotRecord | null, sight?: Sight): string {
  const { steps, held } = planMigrations(worldOf([migration], bot, sight));
  const [step] = steps;
  if (step?.kind === 'migrate') return step.phase === migration.phase ? 'work' : 'another phase';
  if (step?.kind === 'turnMigration') return step.to;
  if (step?.kind === 'undoMigration') return `back: ${step.why}`;
  return held[0] === undefined ? 'nothing' : `held: ${held[0].why}`;
}

const late = { since: at(NOW - 3_600_000) };
const restore = { backup: 'b', replaces: false, kept: null, tolerate: false, since: at(NOW), failed: null };
const startup = { desired: 'running' } as const;

describe('a migration', () => {
  it.each<[string, MigrationRecord, BotRecord | null, Sight, string | RegExp]>([
    ['begins when it is its turn', aMigration('waiting'), null, DEAD, 'work'],
    ['waits for a place', aMigration('preparing'), aBot('a'), 'unseen', /^held/],
    ['has a place', aMigration('preparing'), placed(), DEAD, 'stopping'],
    ['is not held there by an older word', aMigration('preparing'), placed(), { ...DEAD, generation: 0 }, /^held/],
    ['gets no place', aMigration('preparing', late), aBot('a'), 'unseen', /^back: no place/],
    ['is not given up while nobody knows', aMigration('preparing', late), placed(), 'silent', /^held/],
    ['loses its bot', aMigration('preparing'), null, DEAD, /^back: its bot was deleted/],
    ['stops the old one', aMigration('stopping'), placed(), DEAD, 'work'],
    ['copies', aMigration('copying'), placed(), DEAD, 'work'],
    ['waits for its data', aMigration('placing'), placed({ restore }), DEAD, /^held/],
    ['has its data', aMigration('placing'), placed(), DEAD, 'comparing'],
    [
      'has its data refused',
      aMigration('placing'),
      placed({ restore: { ...restore, failed: 'damaged' } }),
      DEAD,
      'back: damaged',
    ],
    ['gets no data', aMigration('placing', late), placed({ restore }), DEAD, /^back: its data/],
    ['compares', aMigration('comparing'), placed(), DEAD, 'work'],
    ['compares nothing that lives', aMigration('comparing'), placed(), { run: true }, /^held: it is not held stopped/],
    ['waits to compare what nobody sees, and says so', aMigration('comparing', late), placed(), 'silent', /^held/],
    ['does not wait for ever to compare', aMigration('comparing', late), placed(), { run: true }, /^back: it is not/],
    ['is proven when it is well', aMigration('proving'), placed(startup), {}, 'work'],
    ['is not proven by an older life', aMigration('proving'), placed(startup), { generation: 0 }, /^held/],
    ['may take its time', aMigration('proving'), placed(startup), { state: 'starting' }, /^held/],
    [
      'does not get well',
      aMigration('proving', late),
      placed(startup),
      { state: 'starting' },
      /^back: it did not get well/,
    ],
    ['is not given up unseen', aMigration('proving', late), placed(startup), 'silent', /^held/],
    [
      'ends again and again',
      aMigration('proving'),
      placed(startup),
      { state: 'backoff', restarts: 3 },
      /^back: it ended 3 times/,
    ],
    [
      'leaves only when it is seen dead',
      aMigration('leaving'),
      placed(),
      { run: true },
      /^held: waits to see it stopped/,
    ],
    ['leaves not when nobody knows', aMigration('leaving', late), placed(), 'silent', /^held/],
    ['leaves not by an older word', aMigration('leaving'), placed(), { ...DEAD, generation: 0 }, /^held/],
    ['leaves with what it did', aMigration('leaving', { ran: true }), placed(), DEAD, 'returning'],
    ['leaves with nothing', aMigration('leaving'), placed(), DEAD, 'removing'],
    ['leaves without ever having had a place', aMigration('leaving'), aBot('a'), 'unseen', 'removing'],
    ['leaves when its bot is gone', aMigration('leaving', { ran: true }), null, DEAD, 'reviving'],
    [
      'leaves the data of a bot that is being deleted to its archive',
      aMigration('leaving', { ran: true }),
      placed({ deleting: true }),
      DEAD,
      'removing',
    ],
    ['carries back', aMigration('returning'), placed(), DEAD, 'work'],
    ['waits until its bot is gone', aMigration('removing'), placed({ deleting: true }), DEAD, /^held/],
    ['has its bot gone', aMigration('removing'), null, DEAD, 'reviving'],
    ['revives', aMigration('reviving'), null, DEAD, 'work'],
    ['is done', aMigration('done', { endedAt: at(NOW) }), placed(), DEAD, 'nothing'],
    ['is kept for its days', aMigration('done', { endedAt: at(NOW), keepDays: 1 }), placed(), DEAD, 'nothing'],
    [
      'has been kept for its days',
      aMigration('done', { endedAt: at(NOW - 86_400_000), keepDays: 1 }),
      placed(),
      DEAD,
      'clearing',
    ],
    ['clears', aMigration('clearing'), placed(), DEAD, 'work'],
    ['has failed', aMigration('failed', late), null, DEAD, 'nothing'],
    ['is back', aMigration('rolled-back', late), null, DEAD, 'nothing'],
    ['is finished', aMigration('finished', late), placed(), DEAD, 'nothing'],
  ])('%s', (_, migration, bot, sight, expected) => {
    if (typeof expected === 'string') expect(outcome(migration, bot, sight)).toBe(expected);
    else expect(outcome(migration, bot, sight)).toMatch(expected);
  });

  it('has its turn by how many are on their way, longest waiting first', () => {
    const waiting = ['a', 'b', 'c'].map((instanceId, n) =>
      aMigration('waiting', { instanceId, beganAt: at(NOW + (n === 2 ? -9000 : n)) }),
    );
    const begun = (others: readonly MigrationRecord[]): string[] =>
      planMigrations(worldOf([...waiting, ...others], null)).steps.flatMap((step) => ('bot' in step ? [step.bot] : []));
    expect(begun([])).toEqual(['a', 'c']);
    expect(begun([aMigration('copying', { instanceId: 'x' })]).sort()).toEqual(['c', 'x']);
    expect(begun(['x', 'y'].map((instanceId) => aMigration('copying', { instanceId })))).toEqual(['x', 'y']);
    expect(begun([aMigration('done', { instanceId: 'x' })])).toEqual(['a', 'c']);
  });

  it('does nothing while its last step is under way, or failed a moment ago', () => {
    const world = worldOf([aMigration('copying')], placed());
    expect(planMigrations({ ...world, busy: new Set(['migration a']) }).steps).toEqual([]);
    const holds = new Map([['migration a', { until: world.monotonic + 1, reason: 'disk full' }]]);
    expect(planMigrations({ ...world, holds })).toEqual({ steps: [], held: [{ target: 'a', why: 'disk full' }] });
  });
});
