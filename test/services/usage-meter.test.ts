import { describe, expect, it } from 'vitest';
import { type OpenLedger, Tally } from '../../lib/domain/usage.ts';
import { UsageMeter } from '../../lib/services/usage-meter.ts';
import { aBot, anAgent, aState, aWorld, NOW, observedBot } from '../planner/builders.ts';

const DAY_MS = 86_400_000;

/** Hours counted, of a bot that an earlier supervisor last saw so long ago. */
function hoursSince(agoMs: number): { periods: number; hours: number } {
  const bot = aBot('a');
  const observed = observedBot(bot);
  const process = { pid: observed.pid ?? 0, startedAt: observed.startedAt ?? 0, cpuSeconds: 0, pssBytes: 1 };
  const reading = { owner: bot.owner, container: 'c', at: NOW - agoMs, restarts: observed.restarts, process };
  const open: OpenLedger = { readings: new Map([[bot.instanceId, reading]]), periods: new Map() };
  const meter = new UsageMeter({ open, countFrom: 0, onUsage: () => {} });
  meter.read(
    aWorld({ state: aState([bot]), agents: new Map([['c', { kind: 'seen', value: anAgent([observed]) }]]) }),
    5,
  );
  const sum = new Tally([...meter.periods.values()].flatMap(({ entries }) => entries));
  return { periods: meter.periods.size, hours: (sum.entries[0]?.usage.runningSeconds ?? 0) / 3600 };
}

describe('a process that ran on while no supervisor did', () => {
  it('is counted on, however long that was', () => {
    expect(hoursSince(300 * DAY_MS)).toEqual({ periods: 7200, hours: expect.closeTo(7200) });
  });

  it('is not counted over years, which only a clock that was set can have seen', () => {
    expect(hoursSince(26 * 365 * DAY_MS)).toEqual({ periods: 1, hours: 0 });
  });
});
