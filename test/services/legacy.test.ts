import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { BunkhouseEvent } from '../../lib/domain/events.ts';
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

describe('a bot that the pool cannot take', () => {
  const template = quickTemplate({ image: 'shared:1', legacy: { image: 'alone:1' } });

  /** A machine that lacks these images; more may be taken away and brought. */
  async function machineWithout(...images: string[]): Promise<{ machine: Machine; missing: Set<string> }> {
    const machine = await Machine.make([template]);
    const missing = new Set(images);
    machine.world.faults.hook = async ({ method, target, when }) => {
      const image = (await machine.store()).current().containers[target]?.image ?? '';
      if (method === 'create' && when === 'before' && missing.has(image))
        throw new BunkhouseError('NOT_FOUND', `there is no image ${image}`);
    };
    return { machine, missing };
  }

  it('runs alone, and says why; the next ones share again when they can', async () => {
    const { machine, missing } = await machineWithout('shared:1');
    await using _ = machine;
    await using system = await System.start(machine);
    const seen: BunkhouseEvent[] = [];
    const following = follow(system, seen);
    await system.api.createBot(ADMIN, { instanceId: 'a' });
    await system.until({ a: 'running' });

    expect(system.api.getBot(ADMIN, 'a').legacy).toMatchObject({
      cause: 'fallback',
      why: 'there is no image shared:1',
    });
    expect(system.api.assignment(ADMIN, 'a')).toMatchObject({ isPooled: false, mode: 'legacy' });
    await waitFor('the other container to go', () => containers(system).length === 1);
    expect(containers(system)).toEqual(['legacy of 1: a']);
    expect(system.api.poolStatus().pools[0]?.legacy).toMatchObject({ cause: 'fallback' });
    await waitFor('its event', () => seen.some(({ type }) => type === 'bot.fallback'));
    expect(seen.filter(({ type }) => type === 'bot.fallback')).toEqual([
      { type: 'bot.fallback', bot: 'a', template: 'echo', reason: 'image', why: 'there is no image shared:1' },
    ]);

    missing.clear();
    await system.api.createBot(ADMIN, { instanceId: 'b' });
    await system.until({ a: 'running', b: 'running' });
    expect(containers(system)).toEqual(['legacy of 1: a', 'pooled of 3: b']);
    await following.stop();
  });

  it('stays pending while nothing can take it, with the reason, and goes where it can first', async () => {
    const { machine, missing } = await machineWithout('shared:1', 'alone:1');
    await using _ = machine;
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'a' });
    const reason = 'its container cannot be made: there is no image alone:1';
    await waitFor('its reason', () => system.api.getBot(ADMIN, 'a').reason === reason);
    expect(system.states()).toEqual({ a: 'pending' });

    missing.delete('shared:1');
    await system.api.createBot(ADMIN, { instanceId: 'b' });
    await system.until({ a: 'running', b: 'running' });
    await waitFor('the others to go', () => containers(system).length === 1, 5000);
    expect(containers(system)).toEqual(['pooled of 3: a,b']);
    expect(system.api.getBot(ADMIN, 'a').legacy).toBeNull();
  });

  it('does not leave a container that was there and cannot be made again: it may have its data there', async () => {
    const { machine, missing } = await machineWithout();
    await using _ = machine;
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'a' });
    await system.until({ a: 'running' });
    const [name = ''] = machine.world.containers.keys();
    missing.add('shared:1');
    machine.world.containers.delete(name);
    await system.reconciler.pass('all');
    await waitFor('its reason', () => system.api.getBot(ADMIN, 'a').reason.startsWith('its container cannot be made'));
    await system.reconciler.pass('all');
    expect(system.api.getBot(ADMIN, 'a')).toMatchObject({ mode: 'pooled', container: name, state: 'pending' });

    missing.clear();
    await waitFor('it to be back', () => system.states().a === 'running', 5000);
    expect(containers(system)).toEqual(['pooled of 3: a']);
  });

  it('is not in two containers, however often the orchestrator is killed at the moment it falls back', async () => {
    const { machine } = await machineWithout('shared:1');
    await using _ = machine;
    for (let life = 0; life < 6; life++) {
      await using system = await System.start(machine);
      await system.api.createBot(ADMIN, { instanceId: `a${life}` });
      for (let step = 0; step < life; step++) await system.reconciler.pass();
    }
    await machine.reopened();
    await using last = await System.start(machine);
    const wanted = Object.fromEntries(Array.from({ length: 6 }, (_, life) => [`a${life}`, 'running']));
    await last.until(wanted);
    const alive = [...machine.world.containers.values()].flatMap((box) =>
      Object.keys(wanted).filter((id) => box.bot(id)?.alive === true),
    );
    expect(alive.sort()).toEqual(Object.keys(wanted));
  });
});

/** Reads the events along until told to stop. */
function follow(system: System, into: BunkhouseEvent[]): { stop(): Promise<void> } {
  const abort = new AbortController();
  const reading = (async () => {
    for await (const { event } of system.api.events(ADMIN, null, abort.signal)) into.push(event);
  })();
  return {
    async stop() {
      abort.abort();
      await reading;
    },
  };
}
