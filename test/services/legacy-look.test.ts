import { afterEach, beforeEach, expect, it } from 'vitest';
import { addOld, legacyTemplate } from './legacy.ts';
import { Machine, System } from './system.ts';

let machine: Machine;
let system: System;

beforeEach(async () => {
  machine = await Machine.make([legacyTemplate()]);
  system = await System.start(machine);
});

afterEach(async () => {
  await system[Symbol.asyncDispose]();
  await machine[Symbol.asyncDispose]();
});

it('names a configuration that is nested without end as what stands in the way', async () => {
  addOld(machine.world, 'a', { config: '['.repeat(500_000) });
  const { candidates, trouble } = await system.migrations.overview({});
  expect(trouble).toEqual([]);
  expect(candidates[0]?.problems.map(({ code }) => code)).toContain('CONFIG_INVALID');
});
