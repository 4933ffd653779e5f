import { describe, expect, it } from 'vitest';
import type { BotSpec, ServiceObservation, ServiceSpec, ServiceUse } from '../../lib/domain/agent.ts';
import { messageOf } from '../../lib/domain/errors.ts';
import type { ExecStep } from '../../lib/domain/template.ts';
import type { Agent } from '../../lib/drivers/driver.ts';
import { serviceUse } from '../support/bot-spec.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Contract, codeOf, readBot } from './harness.ts';

const exec = (...command: string[]): ExecStep => ({ kind: 'exec', command, stdin: '', timeoutSeconds: 30 });

/** The part of the contract that is about shared services. */
export function serviceContract(contract: Contract): void {
  /** A container with bots that use the same service, not applied yet. */
  const prepare = async (steps: Partial<ServiceUse> = {}) => {
    const { record, agent } = await contract.running();
    const { directory } = await agent.observe();
    const service = contract.harness.fixtureService('store', directory);
    const spec = (bot: string, slot = 0, overrides: Partial<BotSpec> = {}): BotSpec =>
      contract.harness.fixtureSpec(bot, {
        slot,
        port: record.basePort + slot,
        generation: 5,
        services: [serviceUse(service, steps)],
        ...overrides,
      });
    return { record, agent, service, spec };
  };
  const serviceIs = (agent: Agent, check: (service: ServiceObservation) => boolean): Promise<ServiceObservation> =>
    waitFor('the service as expected', async () => {
      const seen = (await agent.observe()).services.find(({ name }) => name === 'store');
      return seen !== undefined && check(seen) ? seen : null;
    });
  const isUp = ({ state }: ServiceObservation): boolean => state === 'running';
  const botIs = (agent: Agent, bot: string, state: 'running' | 'stopped' | 'backoff') =>
    waitFor(`${bot} is ${state}`, () => readBot(agent, bot, state));
  const changed = (service: ServiceSpec): ServiceSpec => ({ ...service, env: { COLOUR: 'blue' } });

  describe('services', () => {
    it('are up before the first bot is started, once for all of them', async () => {
      const { agent, spec } = await prepare({ provision: [exec('true')] });
      const applied = await agent.apply(spec('a'));
      expect(applied).toMatchObject({ state: 'starting', pid: null, reason: expect.stringContaining('service store') });
      await agent.apply(spec('b', 1));
      const first = await botIs(agent, 'a', 'running');
      await botIs(agent, 'b', 'running');
      const service = await serviceIs(agent, isUp);
      expect(service).toMatchObject({ restarts: 0, outdated: false, reason: '' });
      expect(first.startedAt).toBeGreaterThanOrEqual(service.readyAt ?? Number.POSITIVE_INFINITY);
      expect((await agent.observe()).services).toHaveLength(1);
      expect((await agent.serviceLog('store', 0, 1000)).size).toBeGreaterThan(0);
      expect(await codeOf(agent.serviceLog('nothing', 0, 1000))).toBe('NOT_FOUND');
    });

    it('are restarted alone, under bots that go on', async () => {
      const { record, agent, spec } = await prepare();
      await agent.apply(spec('a'));
      const bot = await botIs(agent, 'a', 'running');
      const before = await serviceIs(agent, isUp);
      await contract.harness.killService(record.name, before);
      const after = await serviceIs(agent, (seen) => isUp(seen) && seen.pid !== before.pid);
      expect(after).toMatchObject({ restarts: 1, lastExit: { signal: 'SIGKILL', expected: false } });
      expect(await botIs(agent, 'a', 'running')).toMatchObject({ pid: bot.pid, restarts: 0 });
    });

    it('keep a bot from starting for which they have no room, and it is tried again', async () => {
      const { agent, spec, service } = await prepare({ provision: [exec('true'), exec('false')] });
      await agent.apply(spec('a'));
      const waiting = await botIs(agent, 'a', 'backoff');
      expect(waiting).toMatchObject({
        pid: null,
        reason: expect.stringContaining('false'),
        nextStartAt: expect.any(Number),
      });
      await agent.apply(spec('a', 0, { generation: 6, services: [serviceUse(service)] }));
      expect(await botIs(agent, 'a', 'running')).toMatchObject({ restarts: 0 });
    });

    it('with a changed definition start anew only when no bot runs', async () => {
      const { agent, spec, service } = await prepare();
      await agent.apply(spec('a'));
      await botIs(agent, 'a', 'running');
      const before = await serviceIs(agent, isUp);
      const services = [serviceUse(changed(service))];
      await agent.apply(spec('a', 0, { generation: 6, services }));
      expect(await serviceIs(agent, ({ outdated }) => outdated)).toMatchObject({ pid: before.pid, state: 'running' });
      await agent.apply(spec('a', 0, { generation: 7, services, run: false }));
      const after = await serviceIs(agent, (seen) => isUp(seen) && seen.pid !== before.pid);
      expect(after).toMatchObject({ outdated: false, restarts: 0 });
    });

    it('refuse archive and removal while a step of theirs fails, and end with the last bot', async () => {
      const broken = { archive: [exec('false')], deprovision: [exec('false')] };
      const { agent, spec, service } = await prepare(broken);
      await agent.apply(spec('a', 0, { run: false }));
      await serviceIs(agent, isUp);
      expect(await codeOf(agent.archive('a'))).toBe('SERVICE_FAILED');
      expect(await codeOf(agent.remove('a', 5))).toBe('SERVICE_FAILED');
      expect((await agent.observe()).directories).toEqual(['a']);
      const steps = { archive: [exec('true')], deprovision: [exec('true')] };
      await agent.apply(spec('a', 0, { run: false, generation: 6, services: [serviceUse(service, steps)] }));
      expect(await codeOf(agent.archive('a'))).toBe('no error');
      await agent.remove('a', 6);
      await waitFor('no service is left', async () => (await agent.observe()).services.length === 0);
    });

    it('that are not up keep a bot from being archived, cleaned and removed', async () => {
      const { agent, spec, service } = await prepare({ archive: [exec('true')], deprovision: [exec('true')] });
      await agent.apply(spec('a', 0, { run: false }));
      await serviceIs(agent, isUp);
      const backoff = { minSeconds: 600, maxSeconds: 600, healthySeconds: 600 };
      const readiness = { kind: 'notify', startupSeconds: 600, watchdogSeconds: null } as const;
      const never = { ...service, backoff, readiness, command: ['sleep', '600'] };
      await agent.apply(
        spec('a', 0, {
          run: false,
          generation: 6,
          services: [serviceUse(never, { archive: [exec('true')], deprovision: [exec('true')] })],
        }),
      );
      const works = [
        () => agent.archive('a'),
        () => agent.remove('a', 6),
        () => agent.reset('a', 6, { steps: [], verify: [] }),
      ];
      for (const work of works) {
        const error = await work().then(
          () => null,
          (thrown: unknown) => thrown,
        );
        expect(error).toMatchObject({ code: 'SERVICE_FAILED' });
        expect(messageOf(error)).toContain('waits for service store');
      }
    });

    it('are known again only when bots are applied after the container was started anew', async () => {
      const { record, agent, spec } = await prepare();
      await agent.apply(spec('a'));
      await botIs(agent, 'a', 'running');
      await contract.harness.driver.stop(record.name, 10);
      await contract.harness.driver.start(record.name);
      const again = await contract.connect(record.name);
      expect((await again.observe()).services).toEqual([]);
      await again.apply(spec('a'));
      await botIs(again, 'a', 'running');
      await serviceIs(again, isUp);
    });
  });
}
