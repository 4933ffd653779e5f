import { describe, expect, it } from 'vitest';
import type { Template } from '../../lib/domain/template.ts';
import type { UpgradeView } from '../../lib/services/upgrade-api.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

const MOVE: Template['move'] = { deadlineSeconds: 3, headers: {}, facts: {} };
const AT_ONCE = { template: 'echo', spacingSeconds: 0, surge: 2 } as const;
const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `b${n}`);

interface Given {
  readonly bots: number;
  readonly template?: Partial<Template>;
  readonly consolidate?: number;
}

/** Bots that run in containers of three slots, each with data of its own. */
async function withBots(
  { bots, template = {}, consolidate = 0 }: Given,
  work: (machine: Machine, system: System) => Promise<void>,
): Promise<void> {
  await using machine = await Machine.make([quickTemplate({ move: MOVE, image: 'one', ...template })]);
  machine.consolidateMovesPerHour = consolidate;
  await using system = await System.start(machine);
  for (const instanceId of names(bots)) {
    await system.api.createBot(ADMIN, { instanceId });
    await untilRuns(system, instanceId);
    machine.world.containers.get(placeOf(system, instanceId))?.write(instanceId, 'trades', `of ${instanceId}`);
  }
  await work(machine, system);
  expectEachOnce(machine, names(bots));
}

const placeOf = (system: System, bot: string): string =>
  system.store.current().bots.get(bot)?.placement?.container ?? '';
const placesOf = (system: System): string[] => [
  ...new Set(system.store.current().bots.records.map(({ placement }) => placement?.container ?? '')),
];
const containersOf = (system: System): string[] => Object.keys(system.store.current().containers).sort();
const untilRuns = (system: System, bot: string) =>
  waitFor(`${bot} runs`, () => system.states()[bot] === 'running', 5000);

async function untilStatus(system: System, status: UpgradeView['status'], template = 'echo'): Promise<UpgradeView> {
  await waitFor(
    `the upgrade is ${status}`,
    () => {
      const view = system.upgrades.get(template);
      if (view.status !== status) throw new Error(JSON.stringify(view));
      return true;
    },
    15_000,
  );
  return system.upgrades.get(template);
}

const isQuiet = (system: System): boolean => system.store.current().bots.records.every(({ move }) => move === null);

/** Every bot runs in one place, with its own data, which is nowhere else. */
function expectEachOnce(machine: Machine, bots: readonly string[]): void {
  const containers = [...machine.world.containers.values()];
  for (const bot of bots) {
    expect(containers.filter((container) => container.bot(bot)?.alive === true).length, bot).toBe(1);
    const data = containers.filter((container) => container.filesOf(bot).length > 0);
    expect(
      data.map((container) => container.fileOf(bot, 'trades')),
      bot,
    ).toEqual([`of ${bot}`]);
  }
}

describe('an upgrade', () => {
  it('moves everybody into new containers of the new image, with their data, and removes the old ones', () =>
    withBots({ bots: 7 }, async (machine, system) => {
      expect(containersOf(system)).toEqual(['test-echo-1', 'test-echo-2', 'test-echo-3']);
      const started = await system.upgrades.start({ ...AT_ONCE, image: 'two' });
      expect(started).toMatchObject({ status: 'running', image: 'two', moved: 0, left: 7, failures: [] });
      expect(await untilStatus(system, 'done')).toMatchObject({ moved: 7, left: 0, onTheirWay: [], heldBack: [] });
      await waitFor('the old containers are gone', () => containersOf(system).length === 3, 5000);
      expect(Object.values(system.store.current().containers).map(({ image }) => image)).toEqual(['two', 'two', 'two']);
      expect(machine.world.containers.size).toBe(3);
      await system.until(Object.fromEntries(names(7).map((bot) => [bot, 'running'])));
      // The same of the template's own image again.
      await system.upgrades.start(AT_ONCE);
      await untilStatus(system, 'done');
      const images = Object.values(system.store.current().containers).filter(({ emptying }) => emptying === null);
      expect(new Set(images.map(({ image }) => image))).toEqual(new Set(['one']));
    }));

  it('goes on where it was when the supervisor was killed and started again', () =>
    withBots({ bots: 5 }, async (machine, first) => {
      await first.upgrades.start({ ...AT_ONCE, surge: 1 });
      await waitFor('some have moved', () => first.upgrades.get('echo').moved >= 2, 8000);
      await first.reconciler.close();
      await machine.reopened();
      await using second = await System.start(machine);
      expect(await untilStatus(second, 'done')).toMatchObject({ moved: 5 });
      await second.until(Object.fromEntries(names(5).map((bot) => [bot, 'running'])));
    }));

  it('is paused, resumed and aborted; who has moved stays, and the old containers are open again', () =>
    withBots({ bots: 5 }, async (_, system) => {
      await system.upgrades.start({ ...AT_ONCE, surge: 1, image: 'two' });
      await waitFor('one has moved', () => system.upgrades.get('echo').moved >= 1, 8000);
      expect((await system.upgrades.act('echo', 'pause')).status).toBe('paused');
      await waitFor('nobody is on the way', () => isQuiet(system), 8000);
      const { moved } = system.upgrades.get('echo');
      await system.reconciler.pass('all');
      expect(system.upgrades.get('echo')).toMatchObject({ moved, onTheirWay: [], left: 5 - moved });
      await expect(system.upgrades.start({ ...AT_ONCE, image: 'three' })).rejects.toThrow('abort it first');
      await system.upgrades.act('echo', 'resume');
      await waitFor('another has moved', () => system.upgrades.get('echo').moved > moved, 8000);
      await system.upgrades.act('echo', 'abort');
      await untilStatus(system, 'aborted');
      expect(Object.values(system.store.current().containers).every(({ emptying }) => emptying === null)).toBe(true);
      // What is made from now on is as it was before.
      for (const instanceId of ['n1', 'n2', 'n3', 'n4', 'n5', 'n6']) await system.api.createBot(ADMIN, { instanceId });
      await waitFor('there is a new container', () => containersOf(system).length === 4, 5000);
      const newest = Object.values(system.store.current().containers).at(-1);
      expect(newest?.image).toBe('one');
      await system.until(
        Object.fromEntries([...names(5), 'n1', 'n2', 'n3', 'n4', 'n5', 'n6'].map((bot) => [bot, 'running'])),
      );
    }));

  it('fails when more moves fail than may; everybody runs, and it can be resumed', () => {
    const checked: Partial<Template> = {
      checks: [{ kind: 'tcp', timeoutSeconds: 1 }],
      checkEverySeconds: 1,
      failureThreshold: 1,
    };
    return withBots({ bots: 4, template: checked }, async (machine, system) => {
      const newPorts = Array.from({ length: 12 }, (_, n) => 9006 + n);
      for (const port of newPorts) machine.prober.answers.set(port, { ok: false, reason: 'broken image' });
      await system.upgrades.start({ ...AT_ONCE, surge: 1, failureBudget: 0, image: 'two' });
      const failed = await untilStatus(system, 'failed');
      expect(failed.failures).toMatchObject([{ bot: 'b0', why: expect.stringContaining('did not prove well') }]);
      await waitFor('nobody is on the way', () => isQuiet(system), 8000);
      await system.until(Object.fromEntries(names(4).map((bot) => [bot, 'running'])));
      expect(placesOf(system).sort()).toEqual(['test-echo-1', 'test-echo-2']);
      expect(system.store.current().containers['test-echo-1']?.emptying).toBe(null);
      machine.prober.answers.clear();
      await system.upgrades.act('echo', 'resume');
      expect(await untilStatus(system, 'done')).toMatchObject({ failures: [], moved: 4 });
      await system.until(Object.fromEntries(names(4).map((bot) => [bot, 'running'])));
    });
  });

  it('holds back who says that it is no good time, until it is or somebody forces it', () => {
    const holdBack = { path: '/count', headers: {}, json: { current: '0' }, why: 'has open trades' };
    return withBots({ bots: 3, template: { holdBack } }, async (machine, system) => {
      machine.prober.busy.add('/count');
      await system.upgrades.start(AT_ONCE);
      await waitFor(
        'they were asked',
        () => system.upgrades.get('echo').heldBack[0]?.why.includes('open trades'),
        5000,
      );
      await system.reconciler.pass('all');
      expect(system.upgrades.get('echo')).toMatchObject({ moved: 0, left: 3, onTheirWay: [] });
      expect((await system.api.plan()).held).toContainEqual({
        target: 'b0',
        why: 'stays in test-echo-1 for now: it has open trades, or does not answer',
      });
      await system.upgrades.act('echo', 'force');
      expect(await untilStatus(system, 'done')).toMatchObject({ moved: 3 });
    });
  });

  it('has warm bots made in new containers first, and then lets go of the old ones', async () => {
    await using machine = await Machine.make([leasedTemplate({}, { move: MOVE, image: 'one' })]);
    await using system = await System.start(machine);
    const ready = (): number => system.leases.reserves()[0]?.ready ?? 0;
    await waitFor('the reserve is full', () => ready() === 3, 5000);
    const lease = await system.leases.acquire(ADMIN, { template: 'echo' }, null);
    await waitFor('it is full again', () => ready() === 3, 5000);
    let fewest = 3;
    system.reconciler.onPicture(() => {
      fewest = Math.min(fewest, ready());
    });
    await system.upgrades.start({ ...AT_ONCE, image: 'two' });
    expect(await untilStatus(system, 'done')).toMatchObject({ moved: 1 });
    expect(fewest).toBe(3);
    expect(system.leases.get(ADMIN, lease.id).end).toBe(null);
    const { bots, containers } = system.store.current();
    const images = bots.records.map(({ placement }) => containers[placement?.container ?? '']?.image);
    expect(images).toEqual(Array.from({ length: 4 }, () => 'two'));
  });
});

describe('what an upgrade would mean', () => {
  it('is told for each bot, and changes nothing', () =>
    withBots({ bots: 3, template: { env: { GREETING: 'hello' } } }, async (machine, system) => {
      const needs = (image?: string) =>
        Object.fromEntries(
          system.upgrades
            .forecast({ template: 'echo', ...(image === undefined ? {} : { image }) })
            .bots.map((bot) => [bot.instanceId, `${bot.needs}: ${bot.why}`]),
        );
      const fine = 'stays: nothing has changed';
      expect(needs()).toEqual({ b0: fine, b1: fine, b2: fine });
      const moves = 'move: image one becomes two';
      expect(needs('two')).toEqual({ b0: moves, b1: moves, b2: moves });
      const before = machine.templates.get('echo') as Template;
      machine.templates.set('echo', {
        ...before,
        env: { GREETING: 'hi' },
        backoff: { ...before.backoff, maxSeconds: 9 },
      });
      await system.api.restartBot(ADMIN, 'b1');
      await waitFor('b1 was restarted', () => needs().b1 === fine, 5000);
      expect(needs()).toEqual({ b0: 'restart: changed: env', b1: fine, b2: 'restart: changed: env' });
      machine.templates.set('echo', { ...before, backoff: { ...before.backoff, maxSeconds: 9 } });
      expect(needs().b0).toBe('stays: changed, taken without a restart: backoff');
      await system.api.setDesired(ADMIN, 'b0', 'stopped');
      await waitFor('b0 is stopped', () => system.states().b0 === 'stopped', 5000);
      expect(needs().b0).toBe('stays: does not run: its next start takes what has changed');
      await system.api.setDesired(ADMIN, 'b0', 'running');
      await system.until({ b0: 'running', b1: 'running', b2: 'running' });
      expect(system.upgrades.list()).toEqual([]);
      await expect(system.upgrades.start({ template: 'none' })).rejects.toThrow('there is no template none');
    }));
});

describe('a drain', () => {
  it('empties one container, which stays closed until it is opened again', () =>
    withBots({ bots: 4 }, async (_, system) => {
      const drained = await system.upgrades.drain({ container: 'test-echo-1' });
      expect(drained).toMatchObject({ status: 'closed', left: 3, roomElsewhere: 2 });
      const isEmpty = () => {
        const [view] = system.upgrades.drains();
        return view?.left === 0 && view.onTheirWay.length === 0;
      };
      await waitFor('it is empty', isEmpty, 8000);
      expect(placesOf(system).sort()).toEqual(['test-echo-2', 'test-echo-3']);
      expect(containersOf(system)).toContain('test-echo-1');
      expect(system.api.poolStatus().pools.find(({ id }) => id === 'test-echo-1')?.emptying).toBe('drain');
      await system.upgrades.undoDrain('test-echo-1');
      expect(system.upgrades.drains()).toEqual([]);
      await expect(system.upgrades.drain({ container: 'nothing' })).rejects.toThrow('there is no container nothing');
    }));

  it('is removed by a cleanup once it is empty', () =>
    withBots({ bots: 1 }, async (_, system) => {
      await system.upgrades.drain({ container: 'test-echo-1' });
      await waitFor('it is empty', () => placeOf(system, 'b0') === 'test-echo-2' && isQuiet(system), 8000);
      await untilRuns(system, 'b0');
      expect((await system.api.cleanup(false)).removedPools).toEqual(['test-echo-1']);
      expect(containersOf(system)).toEqual(['test-echo-2']);
    }));
});

describe('consolidation', () => {
  it('merges half-empty containers when it is switched on, and says so before', () =>
    withBots({ bots: 7, consolidate: 3600 }, async (machine, system) => {
      const of = (container: string) =>
        system.store.current().bots.records.filter((bot) => bot.placement?.container === container);
      for (const bot of ['b0', 'b1', 'b3']) await system.api.deleteBot(ADMIN, bot);
      await waitFor('they are gone', () => system.store.current().bots.size === 4, 5000);
      expect([of('test-echo-1').length, of('test-echo-2').length, of('test-echo-3').length]).toEqual([1, 2, 1]);
      // What is still under way would ask for a pass, and that would do what is to be told here.
      await system.reconciler.settled();
      expect((await system.api.plan()).steps).toEqual([]);
      machine.skewMs = 2 * 3_600_000;
      expect((await system.api.plan()).steps.map(({ sentence }) => sentence)).toEqual([
        // The two clocks are not read in the same instant.
        expect.stringMatching(/^move all leases by 7200(\.\d+)? s, because the clock was set$/),
        'empty test-echo-3: its bot fits into other containers of its pool',
      ]);
      await system.reconciler.pass('all');
      await waitFor('it is gone', () => containersOf(system).length === 2, 8000);
      await waitFor('nobody is on the way', () => isQuiet(system), 8000);
      await system.until({ b2: 'running', b4: 'running', b5: 'running', b6: 'running' });
      await system.reconciler.pass('all');
      expect((await system.api.plan()).steps).toEqual([]);
      for (const instanceId of ['b0', 'b1', 'b3']) await recreate(machine, system, instanceId);
    }));
});

/** So that the check at the end finds everybody. */
async function recreate(machine: Machine, system: System, instanceId: string): Promise<void> {
  await system.api.createBot(ADMIN, { instanceId });
  await untilRuns(system, instanceId);
  machine.world.containers.get(placeOf(system, instanceId))?.write(instanceId, 'trades', `of ${instanceId}`);
}
