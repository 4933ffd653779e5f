import { describe, expect, it } from 'vitest';
import type { BotObservation } from '../../lib/domain/agent.ts';
import type { BotState } from '../../lib/domain/bot.ts';
import { deriveState } from '../../lib/planner/bot-state.ts';
import type { BotHealth } from '../../lib/planner/world.ts';
import {
  aBot,
  aContainer,
  anAgent,
  aState,
  aTemplate,
  aWorld,
  inSlot,
  observedBot,
  observedContainer,
  worldWith,
} from './builders.ts';

const box = aContainer('bunkhouse-echo-1');
const bot = aBot('a', { placement: inSlot(box, 0) });
const checked = aTemplate({
  checks: [{ kind: 'tcp', timeoutSeconds: 1 }],
  notices: { 'State: STOPPED.': 'trading is stopped' },
});

interface Row {
  readonly desc: string;
  readonly seen: Partial<BotObservation>;
  readonly health?: Partial<BotHealth>;
  readonly want: BotState;
  readonly reason?: string;
}

describe('the state of a bot whose container is seen', () => {
  it.each<Row>([
    { desc: 'has started and proven nothing', seen: {}, want: 'starting', reason: 'waits for its first health check' },
    { desc: 'has proven who it is', seen: {}, health: { passed: true }, want: 'running', reason: '' },
    { desc: 'was proven in an earlier life', seen: { startedAt: 9 }, health: { passed: true }, want: 'starting' },
    {
      desc: 'fails now and then',
      seen: {},
      health: { passed: true, failures: 2, reason: 'slow' },
      want: 'running',
      reason: '',
    },
    {
      desc: 'fails for good',
      seen: {},
      health: { passed: true, failures: 3, reason: 'dead' },
      want: 'unhealthy',
      reason: 'dead',
    },
    {
      desc: 'lost its port',
      seen: { listener: 'other' },
      health: { passed: true },
      want: 'unhealthy',
      reason: 'port 9000 is held by another process',
    },
    {
      desc: 'waits to be tried again',
      seen: { state: 'backoff', reason: 'exited with code 0' },
      want: 'backoff',
      reason: 'exited with code 0',
    },
    { desc: 'was stopped', seen: { state: 'stopped', run: false }, want: 'stopped', reason: '' },
    { desc: 'is on its way up', seen: { state: 'stopped', run: true }, want: 'starting' },
    {
      desc: 'runs and says something its owner should know',
      seen: { status: 'State: STOPPED.' },
      health: { passed: true },
      want: 'running',
      reason: 'trading is stopped',
    },
  ])('one that $desc: $want', ({ seen, health, want, reason }) => {
    const found: BotHealth = { startedAt: 1, passed: false, failures: 0, reason: '', ...health };
    const world = worldWith([bot], box, anAgent([observedBot(bot, seen)]), {
      templates: new Map([['echo', checked]]),
      health: health === undefined ? new Map() : new Map([['a', found]]),
    });
    expect(deriveState(world, bot).state).toBe(want);
    if (reason !== undefined) expect(deriveState(world, bot).reason).toBe(reason);
  });
});

describe('the state of a bot whose container is not seen', () => {
  const listing = (status: 'running' | 'stopped' | 'unknown') => ({
    kind: 'seen' as const,
    value: new Map([[box.name, observedContainer(box, status)]]),
  });

  it.each([
    {
      desc: 'no driver answers',
      world: aWorld({ listing: { kind: 'unknown', reason: 'no engine' } }),
      want: 'unknown',
    },
    { desc: 'its container is not there yet', world: aWorld(), want: 'pending' },
    { desc: 'its container is stopped', world: aWorld({ listing: listing('stopped') }), want: 'pending' },
    { desc: 'its container is unclear', world: aWorld({ listing: listing('unknown') }), want: 'unknown' },
    { desc: 'its container does not answer', world: worldWith([bot], box, 'unknown'), want: 'unknown' },
    { desc: 'its template is gone', world: aWorld({ templates: new Map() }), want: 'failed' },
  ])('$desc: $want', ({ world, want }) => {
    expect(deriveState({ ...world, state: aState([bot], [box]) }, bot).state).toBe(want);
  });

  it('is pending without a place', () => {
    expect(deriveState(aWorld(), aBot('new'))).toMatchObject({ state: 'pending', reason: 'waits for a container' });
  });
});
