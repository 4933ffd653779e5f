import { describe, expect, it } from 'vitest';
import type { Mode } from '../../lib/domain/mode.ts';
import type { Actor } from '../../lib/domain/state.ts';
import type { Template } from '../../lib/domain/template.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, Machine, quickTemplate, System } from './system.ts';

const OWNER: Actor = { role: 'owner', owner: 'ann' };

/** Containers as the pool status shows them: how many bots, and whether they share it. */
const containers = (system: System): string[] =>
  system.api
    .poolStatus()
    .pools.map(({ mode, capacity, bots }) => `${mode} of ${capacity}: ${bots.map((bot) => bot.instanceId).sort()}`)
    .sort();

describe('a bot in a container of its own', () => {
  it('lives beside others in theirs, by the same services', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    for (const id of ['a', 'b']) await system.api.createBot(ADMIN, { instanceId: id });
    for (const id of ['x', 'y']) await system.api.createBot(ADMIN, { instanceId: id, mode: 'legacy' });
    await system.until({ a: 'running', b: 'running', x: 'running', y: 'running' });

    expect(containers(system)).toEqual(['legacy of 1: x', 'legacy of 1: y', 'pooled of 3: a,b']);
    expect(system.api.assignment(ADMIN, 'a')).toMatchObject({ isPooled: true, mode: 'pooled', legacy: null });
    expect(system.api.assignment(ADMIN, 'x')).toMatchObject({
      isPooled: false,
      mode: 'legacy',
      legacy: { cause: 'asked', why: 'asked for when it was made' },
      connection: { slot: 0 },
    });
    expect(system.api.getBot(ADMIN, 'x')).toMatchObject({ mode: 'legacy', legacy: { cause: 'asked' } });

    await system.api.setDesired(ADMIN, 'x', 'stopped');
    await system.until({ a: 'running', b: 'running', x: 'stopped', y: 'running' });
    await system.api.setDesired(ADMIN, 'x', 'running');
    await system.until({ a: 'running', b: 'running', x: 'running', y: 'running' });
  });

  it('takes its container with it when it is deleted, its data archived; another bot keeps its own', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    for (const id of ['x', 'y']) await system.api.createBot(ADMIN, { instanceId: id, mode: 'legacy' });
    await system.until({ x: 'running', y: 'running' });
    await system.api.deleteBot(ADMIN, 'x');
    await waitFor('its container to go', () => containers(system).length === 1 && machine.world.containers.size === 1);
    expect(containers(system)).toEqual(['legacy of 1: y']);
    expect(system.states()).toEqual({ y: 'running' });
    expect((await system.backups.list(ADMIN, { bot: 'x' })).backups).toHaveLength(1);
  });

  it('is taken up by the next orchestrator as it was', async () => {
    await using machine = await Machine.make();
    {
      await using system = await System.start(machine);
      await system.api.createBot(ADMIN, { instanceId: 'x', mode: 'legacy' });
      await system.until({ x: 'running' });
    }
    await machine.reopened();
    await using next = await System.start(machine);
    await next.until({ x: 'running' });
    expect(containers(next)).toEqual(['legacy of 1: x']);
    expect(next.api.getBot(ADMIN, 'x').restarts).toBe(0);
  });
});

describe('whether a new bot shares a container', () => {
  it.each<[string, { poolMode?: boolean; template?: Partial<Template>; mode?: Mode; actor?: Actor }, string]>([
    ['as a rule', {}, 'pooled'],
    ['not when the request says so', { mode: 'legacy' }, 'asked for when it was made'],
    ['not when an owner says so', { mode: 'legacy', actor: OWNER }, 'asked for when it was made'],
    ['not when its template says so', { template: { mode: 'legacy' } }, 'its template echo says so'],
    ['when the request of an admin says otherwise', { template: { mode: 'legacy' }, mode: 'pooled' }, 'pooled'],
    ['an owner cannot say otherwise', { template: { mode: 'legacy' }, mode: 'pooled', actor: OWNER }, 'FORBIDDEN'],
    ['not with POOL_MODE_ENABLED=false', { poolMode: false }, 'POOL_MODE_ENABLED is false'],
    ['nor by a request then', { poolMode: false, mode: 'pooled' }, 'UNSUPPORTED'],
  ])('%s', async (_, { poolMode = true, template = {}, mode, actor = ADMIN }, expected) => {
    await using machine = await Machine.make([quickTemplate(template)]);
    machine.poolMode = poolMode;
    await using system = await System.start(machine);
    const request = { instanceId: 'a', ...(mode === undefined ? {} : { mode }) };
    const outcome = await system.api.createBot(actor, request).then(
      ({ mode: made, legacy }) => (made === 'legacy' ? legacy?.why : made),
      (error: { code: string }) => error.code,
    );
    expect(outcome).toBe(expected);
    expect(system.api.poolStatus().poolMode).toBe(poolMode);
  });
});
