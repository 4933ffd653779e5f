import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, Machine, quickTemplate, System } from './system.ts';

const ALICE = { role: 'owner', owner: 'alice' } as const;
const BOB = { role: 'owner', owner: 'bob' } as const;

const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `b${index}`);
const allRunning = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((id) => [id, 'running']));

describe('bots', () => {
  it('created at the same time fill exactly the containers they need, no slot twice', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await Promise.all(ids(9).map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await system.until(allRunning(ids(9)));
    const { pools } = system.api.poolStatus();
    expect(pools.map((pool) => [pool.botsCount, pool.utilizationPercent])).toEqual([
      [3, 100],
      [3, 100],
      [3, 100],
    ]);
    const ports = pools.flatMap((pool) => pool.bots.map((bot) => bot.port));
    expect(new Set(ports).size).toBe(9);
  });

  it('are stopped, started, restarted and deleted one by one while the others keep their process', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await Promise.all(ids(3).map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await system.until(allRunning(ids(3)));
    const pidOf = (id: string): number | null => system.api.getBot(ADMIN, id).pid;
    const others = [pidOf('b1'), pidOf('b2')];

    await system.api.setDesired(ADMIN, 'b0', 'stopped');
    await system.until({ b0: 'stopped', b1: 'running', b2: 'running' });
    await system.api.healthCheck();
    expect(system.states().b0).toBe('stopped');

    await system.api.setDesired(ADMIN, 'b0', 'running');
    await system.until(allRunning(ids(3)));
    const first = pidOf('b0');
    await system.api.restartBot(ADMIN, 'b0');
    await waitFor('another pid', () => pidOf('b0') !== null && pidOf('b0') !== first);
    await system.until(allRunning(ids(3)));

    await system.api.deleteBot(ADMIN, 'b0');
    await system.until({ b1: 'running', b2: 'running' });
    expect([pidOf('b1'), pidOf('b2')]).toEqual(others);
    expect(
      (await readdir(join(machine.folder, 'archives'))).filter((name) => /^b0-.*\.tar\.gz$/.test(name)),
    ).toHaveLength(1);
  });

  it('that die are brought back by their container, and count as restarted', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    machine.world.killBot('b0');
    await waitFor('the restart', () => system.api.getBot(ADMIN, 'b0').restarts === 1);
    await system.until({ b0: 'running' });
  });

  it('come back in their slots when their container dies', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await Promise.all(ids(3).map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await system.until(allRunning(ids(3)));
    const before = system.api
      .listBots(ADMIN, {})
      .bots.map(({ instanceId, slot, port, pid }) => ({ instanceId, slot, port, pid }));
    machine.world.killContainer('test-echo-1');
    await waitFor('new processes', () =>
      system.api.listBots(ADMIN, {}).bots.every((bot, index) => bot.pid !== null && bot.pid !== before[index]?.pid),
    );
    await system.until(allRunning(ids(3)));
    const after = system.api.listBots(ADMIN, {}).bots;
    expect(after.map(({ instanceId, slot, port }) => ({ instanceId, slot, port }))).toEqual(
      before.map(({ pid: _, ...place }) => place),
    );
  });

  it('are adopted with their processes by the next orchestrator', async () => {
    await using machine = await Machine.make();
    const pids: (number | null)[][] = [];
    for (let life = 0; life < 2; life++) {
      await using system = await System.start(machine);
      if (life === 0) await Promise.all(ids(4).map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
      await system.until(allRunning(ids(4)));
      pids.push(system.api.listBots(ADMIN, {}).bots.map((bot) => bot.pid));
    }
    expect(pids[1]).toEqual(pids[0]);
  });

  it('avoid ports that a program outside the pool holds', async () => {
    await using machine = await Machine.make();
    machine.world.foreignPorts.add(9001);
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    expect(system.api.getBot(ADMIN, 'b0').port).toBe(9002);
  });
});

describe('what cannot be seen', () => {
  it('is unknown, and nothing is done about it until it can be seen again', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    const { pid } = system.api.getBot(ADMIN, 'b0');
    machine.world.faults.failNext('agent.observe', 'AGENT_UNAVAILABLE', 1000);
    await system.reconciler.pass('all');
    await system.api.deleteBot(ADMIN, 'b0');
    await system.reconciler.pass('all');
    await system.reconciler.settled();
    expect(system.api.getBot(ADMIN, 'b0')).toMatchObject({ state: 'unknown', deleting: true });
    expect(machine.world.containers.get('test-echo-1')?.bot('b0')?.alive).toBe(true);
    expect(pid).not.toBeNull();
    machine.world.faults.clear();
    await system.reconciler.pass('all');
    await system.until({});
  });

  it('does not hold up others when a container hangs', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await Promise.all(ids(3).map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await system.until(allRunning(ids(3)));
    machine.world.faults.hangNext('agent.observe', 'undone', 1);
    void system.reconciler.pass('all');
    await system.api.createBot(ADMIN, { instanceId: 'other' });
    await waitFor('the other one', () => system.states().other === 'running', 6000);
  });

  it('keeps the driver from being taken for empty', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    machine.world.faults.failNext('list', 'DRIVER_UNAVAILABLE', 2);
    await system.reconciler.pass('all');
    expect(system.states()).toEqual({ b0: 'unknown' });
    expect(system.api.poolStatus().health.status).toBe('unhealthy');
    await system.until({ b0: 'running' });
  });
});

describe('health checks', () => {
  const checks = [{ kind: 'tcp' as const, timeoutSeconds: 1 }];

  it('must pass once before a bot counts as running and is routed to', async () => {
    await using machine = await Machine.make([quickTemplate({ checks })]);
    machine.prober.answers.set(9000, { ok: false, reason: 'answered by another' });
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await waitFor('the first check', () => system.api.getBot(ADMIN, 'b0').reason === 'answered by another');
    expect(() => system.api.route(ADMIN, 'b0')).toThrow(expect.objectContaining({ code: 'BOT_UNAVAILABLE' }));
    machine.prober.answers.clear();
    await system.api.healthCheck();
    expect(system.states()).toEqual({ b0: 'running' });
    expect(system.api.route(ADMIN, 'b0')).toMatchObject({ host: '127.0.0.1', port: 9000 });
  });

  it('that go on failing make it unhealthy and restart it, at growing distances', async () => {
    const backoff = { minSeconds: 600, maxSeconds: 600, healthySeconds: 60 };
    await using machine = await Machine.make([quickTemplate({ checks, backoff, failureThreshold: 2 })]);
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    const { pid } = system.api.getBot(ADMIN, 'b0');
    machine.prober.answers.set(9000, { ok: false, reason: 'no answer' });
    await system.api.healthCheck();
    const { issues, recoveryActions } = await system.api.healthCheck();
    expect(recoveryActions).toContain('restart b0: no answer');
    expect(issues.length + recoveryActions.length).toBeGreaterThan(0);
    await waitFor('another process', () => ![pid, null].includes(system.api.getBot(ADMIN, 'b0').pid));
    const second = system.api.getBot(ADMIN, 'b0').pid;
    for (let round = 0; round < 3; round++) await system.api.healthCheck();
    expect(system.api.getBot(ADMIN, 'b0')).toMatchObject({ pid: second, state: 'unhealthy' });
    expect((await system.api.plan()).held[0]?.why).toMatch(/no answer; restarted 1 times already, next in \d+ s/);
  });
});

describe('pause', () => {
  const call = (path: string) => ({ method: 'POST' as const, path, headers: {} });

  it('is carried out once by the template’s call, without a restart', async () => {
    await using machine = await Machine.make([
      quickTemplate({ control: { pause: call('/pause'), resume: call('/resume') } }),
    ]);
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    const { pid } = system.api.getBot(ADMIN, 'b0');
    await system.api.setDesired(ADMIN, 'b0', 'paused');
    await waitFor('the call', () => machine.prober.calls.length === 1);
    await system.api.setDesired(ADMIN, 'b0', 'running');
    await waitFor('the other call', () => machine.prober.calls.length === 2);
    await system.api.healthCheck();
    expect(machine.prober.calls).toEqual(['9000/pause', '9000/resume']);
    expect(system.api.getBot(ADMIN, 'b0').pid).toBe(pid);
  });

  it('is refused where the template has no way to', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await expect(system.api.setDesired(ADMIN, 'b0', 'paused')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(system.api.getBot(ADMIN, 'b0').desired).toBe('running');
  });
});

describe('owners', () => {
  it('see and change their own bots only', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await system.api.createBot(ALICE, { instanceId: 'a' });
    await system.api.createBot(BOB, { instanceId: 'b' });
    expect(system.api.listBots(ALICE, { owner: 'bob' }).bots.map((bot) => bot.instanceId)).toEqual(['a']);
    expect(() => system.api.getBot(ALICE, 'b')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    await expect(system.api.deleteBot(ALICE, 'b')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(system.api.createBot(ALICE, { instanceId: 'c', owner: 'bob' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
  });

  it('may tighten the limits of their template and not loosen them', async () => {
    const limits = {
      memoryBytes: 1000,
      pssBytes: 500,
      diskBytes: 2000,
      cpuWeight: 100,
      openFiles: null,
      processes: 10,
      nice: 5,
    };
    await using machine = await Machine.make([quickTemplate({ limits })]);
    await using system = await System.start(machine);
    const looser = [
      { memoryBytes: 1001 },
      { pssBytes: 501 },
      { pssBytes: null },
      { diskBytes: 2001 },
      { cpuWeight: 101 },
      { processes: null },
      { nice: 4 },
    ];
    for (const wanted of looser) {
      await expect(system.api.createBot(ALICE, { instanceId: 'a', limits: wanted })).rejects.toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringContaining(`limit ${Object.keys(wanted)[0]};`),
      });
    }
    const tighter = { memoryBytes: 999, pssBytes: 500, diskBytes: 1, cpuWeight: 1, openFiles: 5, nice: 6 };
    await system.api.createBot(ALICE, { instanceId: 'a', limits: tighter });
    await expect(system.api.changeBot(ALICE, 'a', { limits: { memoryBytes: null } })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await system.api.changeBot(ADMIN, 'a', { limits: { memoryBytes: null } });
  });

  it('get containers of their own where the template isolates them', async () => {
    await using machine = await Machine.make([quickTemplate({ isolation: 'owner' })]);
    await using system = await System.start(machine);
    for (const instanceId of ['a1', 'a2']) await system.api.createBot(ALICE, { instanceId });
    await system.api.createBot(BOB, { instanceId: 'b1' });
    await system.until({ a1: 'running', a2: 'running', b1: 'running' });
    const where = system.api.listBots(ADMIN, {}).bots.map((bot) => bot.container);
    expect(where[0]).toBe(where[1]);
    expect(where[2]).not.toBe(where[0]);
  });
});

describe('requests that do not fit', () => {
  it.each([
    { desc: 'an unknown template', request: { instanceId: 'x', template: 'nothing' }, code: 'INVALID' },
    { desc: 'a missing file', request: { instanceId: 'x', template: 'needy' }, code: 'INVALID' },
    {
      desc: 'a file Bunkhouse writes itself',
      request: { instanceId: 'x', template: 'needy', files: { config: '', overlay: '' } },
      code: 'INVALID',
    },
    {
      desc: 'a file that would be lost as the key of an object',
      request: { instanceId: 'x', files: { ['__proto__']: '' } },
      code: 'INVALID',
    },
    { desc: 'a file outside its directory', request: { instanceId: 'x', files: { '../x': '' } }, code: 'INVALID' },
    { desc: 'an unknown placeholder', request: { instanceId: 'x', args: ['{{nothing}}'] }, code: 'INVALID' },
    { desc: 'an unknown location', request: { instanceId: 'x', location: 'moon' }, code: 'UNKNOWN_LOCATION' },
    { desc: 'a taken id', request: { instanceId: 'taken' }, code: 'CONFLICT' },
  ])('$desc: $code, and nothing changes', async ({ request, code }) => {
    const overlay = { path: 'overlay', mode: 0o600, when: 'always' as const, content: { text: '' } };
    await using machine = await Machine.make([
      quickTemplate(),
      quickTemplate({ name: 'needy', requiredFiles: ['config'], files: [overlay] }),
    ]);
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'taken' });
    await system.until({ taken: 'running' });
    const before = system.store.current();
    await expect(system.api.createBot(ADMIN, request)).rejects.toMatchObject({ code });
    expect(system.store.current()).toBe(before);
  });
});

describe('cleanup', () => {
  it('removes what is proven empty, archives what nobody knows, and keeps the rest with a reason', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await Promise.all(ids(6).map((instanceId) => system.api.createBot(ADMIN, { instanceId })));
    await system.until(allRunning(ids(6)));
    const emptied = system.api.getBot(ADMIN, 'b0').container as string;
    const leaving = ids(6).filter((id) => system.api.getBot(ADMIN, id).container === emptied);
    for (const id of leaving) await system.api.deleteBot(ADMIN, id);
    await waitFor('their end', () => system.api.poolStatus().totalBots === 3);

    const planned = await system.api.cleanup(true);
    expect(planned).toMatchObject({ removedPools: [emptied], kept: [{ why: 'has 3 bots' }] });
    expect(machine.world.containers.has(emptied)).toBe(true);

    expect((await system.api.cleanup(false)).removedPools).toEqual([emptied]);
    expect(machine.world.containers.has(emptied)).toBe(false);
    expect(system.api.poolStatus().totalPools).toBe(1);
  });

  it('never removes a container it cannot ask', async () => {
    await using machine = await Machine.make();
    await using system = await System.start(machine);
    await system.api.createBot(ADMIN, { instanceId: 'b0' });
    await system.until({ b0: 'running' });
    await system.api.deleteBot(ADMIN, 'b0');
    await system.until({});
    machine.world.faults.failNext('agent.observe', 'AGENT_UNAVAILABLE', 2);
    const { removedPools, kept } = await system.api.cleanup(false);
    expect(removedPools).toEqual([]);
    expect(kept).toEqual([{ id: 'test-echo-1', why: expect.stringContaining('on purpose') }]);
  });
});
