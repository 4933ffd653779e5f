import { describe, expect, it } from 'vitest';
import type { BotObservation } from '../../lib/domain/agent.ts';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { Move, MovePhase } from '../../lib/domain/move.ts';
import type { Step } from '../../lib/domain/steps.ts';
import type { Template } from '../../lib/domain/template.ts';
import { whyImmovable } from '../../lib/planner/moves.ts';
import { plan } from '../../lib/planner/plan.ts';
import type { Plan, World } from '../../lib/planner/world.ts';
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
} from './builders.ts';

const A = aContainer('a-1');
const B = aContainer('b-1', { basePort: 9003 });
const FACTS = { trades: { kind: 'sum', from: [{ path: '/', pointer: '/n', take: 'value' }] } } as const;

type Look = 'unknown' | 'gone' | Partial<BotObservation> | null;

interface Case {
  readonly phase: MovePhase;
  readonly move?: Partial<Move>;
  readonly bot?: Partial<BotRecord>;
  /** In its present place and in its other; null: seen, and the bot is not there. */
  readonly here: Look;
  readonly there?: Look;
  readonly template?: Partial<Template>;
  readonly lateBySeconds?: number;
}

/** A bot of generation 10 whose present place is A, and B its other. */
function worldOf({ phase, move = {}, bot = {}, here, there = null, template = {}, lateBySeconds = 0 }: Case): World {
  const full: Move = {
    to: { kind: 'pool' },
    cause: { kind: 'request' },
    phase,
    other: { placement: inSlot(B, 0) ?? { container: '', slot: 0, port: 0 }, location: 'local', legacy: null },
    archive: null,
    facts: {},
    undone: null,
    left: null,
    since: new Date(NOW - lateBySeconds * 1000).toISOString(),
    ...move,
  };
  const record = aBot('x', { generation: 10, placement: inSlot(A, 0), move: full, ...bot });
  const looks = [
    [A, here],
    [B, there],
  ] as const;
  const seen = (look: Look) => (look === null || typeof look === 'string' ? [] : [observedBot(record, look)]);
  return aWorld({
    state: aState([record], [A, B]),
    templates: new Map([['echo', aTemplate({ ...template })]]),
    listing: {
      kind: 'seen',
      value: new Map(looks.filter(([, look]) => look !== 'gone').map(([box]) => [box.name, observedContainer(box)])),
    },
    agents: new Map(
      looks
        .filter(([, look]) => look !== 'gone')
        .map(([box, look]) => [
          box.name,
          look === 'unknown' ? { kind: 'unknown', reason: 'no answer' } : { kind: 'seen', value: anAgent(seen(look)) },
        ]),
    ),
  });
}

const STILL = { run: false, state: 'stopped', pid: null } as const;
const WITH_FACTS = { move: { deadlineSeconds: null, headers: {}, facts: FACTS } };

const about = ({ steps }: Plan): Step[] => steps.filter((step) => stepBot(step) === 'x');
const stepBot = (step: Step): string => ('bot' in step ? step.bot : step.kind === 'applyBot' ? step.spec.bot : '');

function outcome(given: Case): string {
  const planned = plan(worldOf(given));
  const [step] = about(planned);
  if (step === undefined) return planned.held.find(({ target }) => target === 'x')?.why ?? 'nothing';
  if (step.kind === 'applyBot') return `apply ${step.container} ${step.spec.generation} ${step.spec.run}`;
  return [step.kind, 'container' in step ? step.container : '', 'why' in step ? step.why : '']
    .filter(Boolean)
    .join(' ');
}

describe('a bot on its way', () => {
  it.each<readonly [string, Case, string]>([
    ['has its place made ready', { phase: 'preparing', here: {} }, 'apply b-1 9 false'],
    ['waits for it', { phase: 'preparing', here: {}, there: 'unknown' }, 'nothing'],
    ['leaves when both are ready', { phase: 'preparing', here: {}, there: { ...STILL, generation: 9 } }, 'leavePlace'],
    [
      'is asked first',
      { phase: 'preparing', here: {}, there: { ...STILL, generation: 9 }, template: WITH_FACTS },
      'askBot',
    ],
    [
      'is waited for while it starts',
      { phase: 'preparing', here: { state: 'starting' }, there: { ...STILL, generation: 9 } },
      'nothing',
    ],
    [
      'leaves as it is when it does not get well',
      { phase: 'preparing', here: { state: 'backoff' }, there: { ...STILL, generation: 9 }, lateBySeconds: 130 },
      'leavePlace',
    ],
    [
      'stays when there is no place for long',
      { phase: 'preparing', here: {}, there: 'unknown', lateBySeconds: 901 },
      'undoMove there was no place ready for it after 901 s',
    ],
    ['is told to stop', { phase: 'leaving', here: { generation: 8 } }, 'apply a-1 10 false'],
    ['is waited for while it stops', { phase: 'leaving', here: { run: false, state: 'stopping' } }, 'nothing'],
    ['is never carried unseen', { phase: 'leaving', here: 'unknown' }, 'nothing'],
    ['has stopped', { phase: 'leaving', here: STILL }, 'beginCarrying'],
    ['is carried', { phase: 'carrying', here: STILL }, 'carryBot a-1'],
    ['crosses over', { phase: 'carrying', move: { archive: 'x-1' }, here: STILL }, 'crossOver'],
    [
      'starts again where it is when it cannot be carried',
      { phase: 'carrying', here: STILL, lateBySeconds: 121 },
      'undoMove its data had not been fetched after 121 s',
    ],
    ['is held still where it arrives, by a lower generation', { phase: 'arriving', here: null }, 'apply a-1 9 false'],
    ['has its data put in place', { phase: 'arriving', here: { ...STILL, generation: 9 } }, 'arriveBot a-1'],
    [
      'goes back to what never left when it cannot arrive',
      { phase: 'arriving', here: 'unknown', lateBySeconds: 121 },
      'undoMove its data was not in place in a-1 after 121 s',
    ],
    [
      'has arrived when the container knows more than the store',
      { phase: 'arriving', here: { generation: 12 } },
      'followNewest',
    ],
    ['runs there', { phase: 'proving', here: { ...STILL, generation: 9 } }, 'apply a-1 10 true'],
    ['is proven by being well', { phase: 'proving', here: {} }, 'takeForProven'],
    ['is asked there', { phase: 'proving', here: {}, template: WITH_FACTS }, 'proveBot'],
    ['is not proven while it starts', { phase: 'proving', here: { state: 'starting' } }, 'nothing'],
    [
      'that was not well is proven by its data',
      { phase: 'proving', move: { facts: null }, here: { state: 'backoff' } },
      'takeForProven',
    ],
    [
      'that is wanted stopped is proven by its data',
      { phase: 'proving', bot: { desired: 'stopped' }, here: STILL },
      'takeForProven',
    ],
    [
      'goes back when it dies again and again',
      { phase: 'proving', here: { state: 'backoff', restarts: 3, reason: 'exited with code 2' } },
      'undoMove it ended 3 times in a-1: exited with code 2',
    ],
    [
      'goes back when it does not get well',
      { phase: 'proving', here: { state: 'starting', reason: 'loads' }, lateBySeconds: 121 },
      'undoMove it did not prove well in a-1 within 121 s: starting loads',
    ],
    ['is not given up unseen', { phase: 'proving', here: 'unknown', lateBySeconds: 9999 }, 'nothing'],
    ['leaves nothing behind', { phase: 'clearing', here: {}, there: STILL }, 'clearPlace b-1'],
    [
      'cannot be cleared unseen',
      { phase: 'clearing', here: {}, there: 'unknown' },
      'what it left in b-1 cannot be cleared yet: no answer',
    ],
    [
      'need not be cleared from a place it never ran in and that is gone',
      { phase: 'clearing', move: { undone: 'no' }, here: {}, there: 'gone' },
      'endMove b-1',
    ],
    [
      'is not run twice',
      { phase: 'clearing', here: STILL, there: { generation: 9 } },
      'still runs in b-1, where it has no place; stop that container, so that it does not run twice',
    ],
  ])('%s', (_, given, expected) => {
    expect(outcome(given)).toBe(expected);
  });

  it.each<readonly [string, Case, string]>([
    ['archived where it still is', { phase: 'carrying', here: STILL }, 'archiveBot a-1'],
    [
      'taken back to its data first',
      { phase: 'arriving', here: { ...STILL, generation: 9 } },
      'undoMove it is being deleted',
    ],
    ['archived where it is by now', { phase: 'proving', here: STILL }, 'archiveBot a-1'],
    ['cleared from its other place', { phase: 'proving', bot: { archive: 'kept' }, here: STILL }, 'clearPlace b-1'],
    [
      'removed when nothing is left elsewhere',
      { phase: 'proving', bot: { archive: 'kept' }, move: { other: null }, here: STILL },
      'removeBot a-1',
    ],
  ])('that is deleted is %s', (_, given, expected) => {
    expect(outcome({ ...given, bot: { deleting: true, ...given.bot } })).toBe(expected);
  });
});

describe('an older copy of the store', () => {
  const later = { ...STILL, generation: 12 };

  it('does not keep a bot from where it went since', () => {
    const world = worldOf({ phase: 'clearing', move: { other: null }, here: null, there: later });
    const [step] = about(plan(world));
    expect(step).toMatchObject({ kind: 'followNewest', generation: 12, placement: { container: 'b-1', slot: 0 } });
  });

  it('gives no generation again, before anything else', () => {
    const world = worldOf({ phase: 'leaving', here: null, there: { ...STILL, generation: 500 } });
    expect(plan(world).steps.map(({ kind }) => kind)).toEqual(['raiseGeneration', 'followNewest']);
  });

  it('decides nothing while not every place is seen', () => {
    const third = aContainer('c-1', { basePort: 9006 });
    const world = worldOf({ phase: 'leaving', here: null, there: later });
    const listing = {
      kind: 'seen',
      value: new Map([...(world.listing.kind === 'seen' ? world.listing.value : [])]),
    } as const;
    listing.value.set('c-1', observedContainer(third, 'stopped'));
    expect(plan({ ...world, listing }).held).toContainEqual({
      target: 'x',
      why: 'was in b-1 later than the store knows, but c-1 cannot be asked',
    });
  });
});

describe('bots that cannot be moved', () => {
  it.each([
    [aTemplate(), null],
    [undefined, 'its template echo does not exist; add it again'],
    [aTemplate({ services: { db: aService() } }), expect.stringContaining('it keeps data in db')],
  ])('say why', (template, why) => {
    expect(whyImmovable({ template: 'echo' }, template)).toEqual(why);
  });
});
