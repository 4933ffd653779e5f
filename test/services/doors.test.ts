import { describe, expect, it, onTestFinished } from 'vitest';
import type { CheckResult } from '../../lib/probes/probe.ts';
import type { Front } from '../../lib/services/front.ts';
import type { ReserveStatus } from '../../lib/services/lease-api.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN, leasedTemplate, Machine, quickTemplate, System } from './system.ts';

const OK: CheckResult = { ok: true, reason: '' };

/** A front in memory: names are served as soon as they are given, certified as the test says. */
class StagedFront implements Front {
  served: readonly string[] = [];
  trouble = '';
  /** Names that get no certificate, and why. */
  readonly refused = new Map<string, string>();
  checks = 0;

  async serve(hosts: readonly string[]): Promise<CheckResult> {
    if (this.trouble !== '') return { ok: false, reason: this.trouble };
    this.served = hosts;
    return OK;
  }

  async check(host: string): Promise<CheckResult> {
    this.checks += 1;
    const reason = this.served.includes(host) ? this.refused.get(host) : 'not served';
    return reason === undefined ? OK : { ok: false, reason };
  }

  async retry(): Promise<CheckResult> {
    return OK;
  }

  async close(): Promise<void> {}
}

async function setUp(prepare: (front: StagedFront) => void = () => {}) {
  const machine = await Machine.make([leasedTemplate(), quickTemplate({ name: 'plain' })]);
  const front = new StagedFront();
  prepare(front);
  machine.door = { front, baseDomain: 'bots.test' };
  const system = await System.start(machine);
  onTestFinished(async () => {
    await system[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });
  return { machine, front, system };
}

const reserve = (system: System) => system.leases.reserves()[0] as ReserveStatus;
const members = (system: System) => system.store.current().bots.records.filter((bot) => bot.reserve !== null);
const allRun = (system: System, count: number) =>
  waitFor(`${count} run`, () => Object.values(system.states()).filter((state) => state === 'running').length === count);

describe('a door for every bot', () => {
  it('makes a bot ready when its host name has a certificate, and not before', async () => {
    const { front, system } = await setUp((staged) => {
      staged.check = async () => ({ ok: false, reason: 'the authority sleeps' });
    });
    await allRun(system, 3);
    await waitFor('all to be refused', async () => {
      const { held } = await system.api.plan();
      return held.filter(({ why }) => why === 'the authority sleeps').length === 3;
    });
    expect(reserve(system)).toMatchObject({ ready: 0, warming: 3, held: 'the authority sleeps (and 2 more)' });
    front.check = async () => OK;
    await waitFor('3 ready', () => reserve(system).ready === 3);
    expect(reserve(system).held).toBe('');
  });

  it('holds up no other bot by one that gets none', async () => {
    const { front, system } = await setUp((staged) => {
      const check = staged.check.bind(staged);
      staged.check = async (host) => (host === staged.served[0] ? { ok: false, reason: 'rate limited' } : check(host));
    });
    await waitFor('2 ready', () => reserve(system).ready === 2);
    expect(reserve(system)).toMatchObject({ warming: 1, held: 'rate limited' });
    expect(front.served).toHaveLength(3);
  });

  it('serves the names of all bots that have one, and of no other, and says why it cannot', async () => {
    const { front, system } = await setUp((staged) => {
      staged.trouble = 'Caddy does not answer';
    });
    await allRun(system, 3);
    await waitFor('the trouble', () => reserve(system).held === 'Caddy does not answer (and 2 more)');
    expect(front.checks).toBe(0);
    front.trouble = '';
    await system.api.createBot(ADMIN, { instanceId: 'a', template: 'plain' });
    await system.api.createBot(ADMIN, { instanceId: 'Not.A.Label', template: 'plain' });
    await waitFor('3 ready', () => reserve(system).ready === 3);
    const names = members(system).map(({ instanceId }) => `${instanceId}.bots.test`);
    expect(front.served).toEqual(['a.bots.test', ...names].sort());
    await system.api.deleteBot(ADMIN, 'a');
    await waitFor('its name to vanish', () => !front.served.includes('a.bots.test'));
  });

  it('is waited for by who asks for a bot of its own to be made', async () => {
    const { front, system } = await setUp((staged) => {
      staged.check = async () => ({ ok: false, reason: 'the authority sleeps' });
    });
    await allRun(system, 3);
    let answered = false;
    const asked = system.leases.acquire(ADMIN, { waitSeconds: 30 }, null).then((lease) => {
      answered = true;
      return lease;
    });
    await allRun(system, 4);
    await system.reconciler.settled();
    expect(answered).toBe(false);
    front.check = async () => OK;
    expect(await asked).toMatchObject({ fromPool: false, state: 'running' });
  });

  it('believes a certificate it has seen when the bot comes back from a lease', async () => {
    const { front, system } = await setUp();
    await waitFor('3 ready', () => reserve(system).ready === 3);
    const { checks } = front;
    const lease = await system.leases.acquire(ADMIN, {}, null);
    await system.leases.release(ADMIN, lease.id);
    await waitFor('it is back', () => {
      const bot = system.store.current().bots.get(lease.instanceId);
      return bot?.reserve?.phase === 'ready' && bot.reserve.served === 1;
    });
    expect(front.checks).toBe(checks);
  });
});
