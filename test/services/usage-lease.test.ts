import { describe, expect, it } from 'vitest';
import type { BotObservation } from '../../lib/domain/agent.ts';
import { follow } from '../../lib/services/usage-follow.ts';
import { aBot, NOW, observedBot } from '../planner/builders.ts';

const START = NOW / 1000;

function look(owner: string, seconds: number, elapsedSeconds: number, seen: Partial<BotObservation>) {
  const observed = observedBot(aBot('a'), { startedAt: START, cpuSeconds: 0, ...seen });
  return { owner, container: 'c', at: NOW + seconds * 1000, elapsedSeconds, countFrom: NOW, observed };
}

describe('usage of a bot that is handed out', () => {
  it("is its holder's from acquire to release", () => {
    const warm = follow(null, look('pool', 10, 0, {}));
    // Looked at at once when it changes hands.
    const acquired = follow(warm.now, look('alice', 20, 10, {}));
    const used = follow(acquired.now, look('alice', 50, 30, { cpuSeconds: 4 }));
    const exit = { code: 0, signal: null, at: START + 61, expected: true };
    const released = follow(used.now, look('pool', 62, 12, { pid: null, startedAt: null, lastExit: exit }));
    const again = follow(released.now, look('pool', 80, 18, { pid: 101, startedAt: START + 70 }));
    const spells = [warm, acquired, used, released, again].flatMap((each) => each.spells);
    expect(spells.map(({ owner, seconds }) => [owner, seconds])).toEqual([
      ['pool', 10],
      ['pool', 10],
      ['alice', 30],
      ['alice', 11],
      ['pool', 10],
    ]);
  });
});
