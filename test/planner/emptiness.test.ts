import { describe, expect, it } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import { judge, type Verdict } from '../../lib/planner/emptiness.ts';
import { aBot, aContainer, anAgent, aState, aWorld, observedContainer } from './builders.ts';

const BOX = aContainer('box');
const BOT = aBot('a', { placement: { container: 'elsewhere', slot: 0, port: 9000 } });

/** Of a container without a record, in which `a` was, under that generation, before it was started anew. */
function judged(bots: readonly BotRecord[], generation: number): Verdict {
  const value = { ...anAgent([], ['a']), dormant: [{ bot: 'a', slot: 0, generation }] };
  const world = aWorld({
    state: aState(bots),
    listing: { kind: 'seen', value: new Map([['box', observedContainer(BOX)]]) },
    agents: new Map([['box', { kind: 'seen', value }]]),
  });
  return judge(world, 'box');
}

describe('a container that nobody is in any more', () => {
  it('is kept while a bot has newer data there than the store knows of', () => {
    const why = 'has newer data of a than the store knows of';
    expect(judged([BOT], BOT.generation + 1)).toEqual({ kind: 'keep', why });
  });

  it('goes when what is left there is older, or of nobody', () => {
    expect(judged([BOT], BOT.generation)).toEqual({ kind: 'remove', leftovers: ['a'] });
    expect(judged([], 99)).toEqual({ kind: 'remove', leftovers: ['a'] });
  });
});
