import { describe, expect, it } from 'vitest';
import type { BotLimits } from '../../../../lib/domain/template.ts';
import { settingsOf } from '../../../../lib/drivers/docker/cgroups/settings.ts';
import type { Controller, Tree } from '../../../../lib/drivers/docker/cgroups/trees.ts';
import { aTemplate } from '../../../planner/builders.ts';

const ALL: readonly Controller[] = ['memory', 'cpu', 'pids'];
const none = aTemplate().limits;
const written = (version: Tree['version'], limits: Partial<BotLimits>, controllers = ALL): string[] =>
  settingsOf({ version, controllers }, { ...none, ...limits }).map(
    ({ file, value, optional }) => `${file}=${value}${optional ? ' if there' : ''}`,
  );

describe('what is written into the cgroup of a bot', () => {
  it('of version 1: first the limit that must not be lower out of the way', () => {
    expect(written(1, { pssBytes: 100 << 20, cpuWeight: 10, processes: 64 })).toEqual([
      'memory.memsw.limit_in_bytes=-1 if there',
      'memory.limit_in_bytes=131072000',
      'memory.memsw.limit_in_bytes=131072000 if there',
      'cpu.shares=102',
      'pids.max=64',
    ]);
  });

  it('of version 2', () => {
    expect(written(2, { pssBytes: 100 << 20, cpuWeight: 10, processes: 64 })).toEqual([
      'memory.max=131072000',
      'memory.swap.max=0 if there',
      'memory.oom.group=1 if there',
      'cpu.weight=10',
      'pids.max=64',
    ]);
  });

  it('takes earlier limits away when there are none', () => {
    expect(written(1, {})).toEqual([
      'memory.memsw.limit_in_bytes=-1 if there',
      'memory.limit_in_bytes=-1',
      'cpu.shares=1024',
      'pids.max=max',
    ]);
    expect(written(2, {})).toEqual([
      'memory.max=max',
      'memory.swap.max=max if there',
      'memory.oom.group=1 if there',
      'cpu.weight=100',
      'pids.max=max',
    ]);
  });

  it('is only what belongs into the tree', () => {
    expect(written(1, { processes: 5 }, ['pids'])).toEqual(['pids.max=5']);
    expect(written(1, {}, ['cpu'])).toEqual(['cpu.shares=1024']);
  });

  it.each([
    [1, 10],
    [100, 1024],
    [10_000, 102_400],
  ])('weighs %i as %i shares, which the kernel takes', (cpuWeight, shares) => {
    expect(written(1, { cpuWeight }, ['cpu'])).toEqual([`cpu.shares=${shares}`]);
    expect(shares).toBeGreaterThanOrEqual(2);
    expect(shares).toBeLessThanOrEqual(262_144);
  });

  it('is whole bytes', () => {
    expect(written(2, { pssBytes: 1_048_577 }, ['memory'])[0]).toBe('memory.max=1310721');
  });
});
