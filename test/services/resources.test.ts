import { describe, expect, it } from 'vitest';
import type { Prefork } from '../../lib/domain/template.ts';
import { ADMIN, Machine, quickTemplate, System } from './system.ts';

const MIB = 1 << 20;
const PREFORK: Prefork = {
  entry: 'echo:main',
  python: 'python3',
  preload: ['json'],
  warmup: null,
  env: {},
  merge: false,
  immortal: true,
};

async function withTwo(machine: Machine): Promise<System> {
  const system = await System.start(machine);
  for (const instanceId of ['a', 'b']) await system.api.createBot(ADMIN, { instanceId });
  await system.until({ a: 'running', b: 'running' });
  return system;
}

describe('what bots take', () => {
  it('is shown for bots that are forked, their container and everything', async () => {
    await using machine = await Machine.make([quickTemplate({ prefork: PREFORK })]);
    await using system = await withTwo(machine);
    const bot = system.api.getBot(ADMIN, 'a');
    expect(bot).toMatchObject({
      memory: { pssBytes: 40 * MIB, rssBytes: 120 * MIB, privateBytes: 30 * MIB, sharedBytes: 90 * MIB, swapBytes: 0 },
      openFiles: 12,
      diskBytes: null,
      spawn: { kind: 'prefork', reason: '' },
      warning: '',
    });
    expect(bot.cpuSeconds).toBeGreaterThanOrEqual(0);
    const status = system.api.poolStatus();
    expect(status.pools[0]).toMatchObject({
      memory: { pssBytes: (20 + 60 + 2 * 40) * MIB, privateBytes: (15 + 10 + 2 * 30) * MIB },
      zygotes: [{ state: 'ready', forks: 2, modules: 1, immortal: true, merge: false }],
      cgroups: { made: false, reason: 'there are no processes' },
      bots: [{ instanceId: 'a', memory: { pssBytes: 40 * MIB }, spawn: { kind: 'prefork' }, warning: '' }, {}],
    });
    expect(status.memory?.pssBytes).toBe((20 + 60 + 2 * 40) * MIB);
    expect(status.onePerContainer).toBeNull();
  });

  it('tells why bots were executed although they were to be forked', async () => {
    await using machine = await Machine.make([quickTemplate({ prefork: PREFORK })]);
    machine.world.zygoteTrouble = 'No module named json';
    await using system = await withTwo(machine);
    const reason = 'the zygote is not there: No module named json';
    expect(system.api.getBot(ADMIN, 'a').spawn).toEqual({ kind: 'exec', reason });
    expect(system.api.poolStatus().pools[0]).toMatchObject({
      zygotes: [{ state: 'failed', reason: 'No module named json', memory: null, forks: 0 }],
      bots: [{ spawn: { kind: 'exec', reason } }, {}],
    });
  });

  it('is not known of what cannot be seen, and nothing of a stopped bot', async () => {
    await using machine = await Machine.make();
    await using system = await withTwo(machine);
    await system.api.setDesired(ADMIN, 'a', 'stopped');
    await system.until({ a: 'stopped', b: 'running' });
    expect(system.api.getBot(ADMIN, 'a')).toMatchObject({ memory: null, cpuSeconds: null, spawn: null });
    machine.world.faults.failNext('agent.observe', 'AGENT_UNAVAILABLE', 100);
    await system.reconciler.pass('all');
    expect(system.api.poolStatus()).toMatchObject({
      memory: null,
      pools: [{ memory: null, zygotes: [], cgroups: null }],
    });
  });
});
