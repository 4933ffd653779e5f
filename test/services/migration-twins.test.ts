import { afterEach, beforeEach, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
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

/** Many containers mount /etc/localtime, and not all of them read-only. */
it('stops no old one while another lives that writes to a mount of it', async () => {
  const shared = { kind: 'bind', source: '/etc/localtime', target: '/etc/localtime', readOnly: false } as const;
  for (const id of ['a', 'b']) {
    const box = addOld(machine.world, id);
    machine.world.foreign.set(box.id, { ...box, told: { ...box.told, mounts: [...box.told.mounts, shared] } });
  }
  await system.migrations.begin({ only: ['a'] });
  const oldOne = () => [...machine.world.foreign.values()].find(({ name }) => name === 'echo-a');
  await waitFor(
    'it is held or over while it is being stopped',
    () => {
      const { phase, held, over } = system.migrations.get('a');
      return over || (phase === 'stopping' && held.includes('with the files of the bot'));
    },
    4000,
  );
  const box = oldOne();
  const { phase, held, why } = system.migrations.get('a');
  expect({ alive: box?.alive, phase, held, why }).toMatchObject({ alive: true });
});
