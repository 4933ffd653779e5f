import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { LeaseView, ReserveStatus } from '../../lib/services/lease-api.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Ran, run, type Supervisor, start, startSupervisor } from './bunkhouse.ts';

// Each command is a process that starts from nothing, many of them on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let supervisor: Supervisor;
const cli = (...args: string[]): Promise<Ran> => run(args, supervisor.env);

async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await cli(...args, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as T;
}

const reserveOf = async (template: string): Promise<ReserveStatus | undefined> =>
  (await json<{ reserves: ReserveStatus[] }>('pool', 'reserve')).reserves.find((found) => found.template === template);

const acquire = (...args: string[]): Promise<LeaseView> => json('leases', 'acquire', '--template', 'leased', ...args);

beforeAll(async () => {
  supervisor = await startSupervisor();
  await waitFor('the reserve is full', async () => (await reserveOf('leased'))?.ready === 2, 40_000);
});

afterAll(async () => {
  const { code, err } = await supervisor.close();
  expect({ code, err }).toEqual({ code: 0, err: '' });
});

describe('leases', () => {
  it('acquires a warm bot and shows, lists, extends and releases its lease', async () => {
    const lease = await acquire('--owner', 'ann', '--ttl', '90');
    expect(lease).toMatchObject({ owner: 'ann', fromPool: true, ttlSeconds: 90 });
    const shown = (await cli('leases', 'show', lease.id)).out;
    expect(shown).toMatch(new RegExp(`^bot +${lease.instanceId}$`, 'm'));
    expect(shown).toMatch(/^left +1m \d+s, until /m);
    expect(shown).toMatch(/^warm +yes$/m);
    expect((await cli('leases', 'list')).out).toMatch(
      new RegExp(`^${lease.id} +${lease.instanceId} .* ann +leased$`, 'm'),
    );
    const extended = await json<LeaseView>('leases', 'extend', lease.id, '30');
    expect(Date.parse(extended.expiresAt) - Date.parse(lease.expiresAt)).toBe(30_000);
    const released = await cli('leases', 'release', lease.id);
    expect(released).toMatchObject({ code: 0, out: `${lease.id}: released\n` });
    expect((await cli('leases', 'show', lease.id)).out).toMatch(/^left +released at /m);
    expect(await cli('leases', 'extend', lease.id, '30')).toMatchObject({ code: 5 });
  });

  it('waits for a bot that is made for it', async () => {
    const ran = await cli('leases', 'acquire', '--template', 'on-demand', '--wait', '20', '--json');
    expect(ran).toMatchObject({ code: 0, err: expect.stringContaining('is granted') });
    const lease = JSON.parse(ran.out) as LeaseView;
    expect(lease).toMatchObject({ fromPool: false, state: 'running' });
  });

  it('counts down until the lease ends', async () => {
    const lease = await acquire('--ttl', '30');
    const watching = start(['leases', 'watch', lease.id], supervisor.env);
    await waitFor('it counts', () => /^\d+s left, until /m.test(watching.out()), 20_000);
    await cli('leases', 'release', lease.id);
    expect(await watching.ran).toMatchObject({ code: 0, out: expect.stringMatching(/^ended: released$/m) });
  });

  it.each([
    { what: 'a lease nobody knows', args: ['leases', 'show', 'abcdefgh12'], code: 3 },
    { what: 'watching one', args: ['leases', 'watch', 'abcdefgh12'], code: 3 },
    { what: 'a template that is not leased', args: ['leases', 'acquire', '--template', 'plain'], code: 2 },
    { what: 'a time that is none', args: ['leases', 'acquire', '--ttl', 'long'], code: 2 },
    { what: 'no time at all', args: ['leases', 'extend', 'abcdefgh12', '0'], code: 2 },
    { what: 'nothing to release', args: ['leases', 'release'], code: 2 },
  ])('refuses $what with $code', async ({ args, code }) => {
    expect(await cli(...args)).toMatchObject({ code, out: '' });
  });

  it('shows the reserve', async () => {
    const { out } = await cli('pool', 'reserve');
    expect(out).toMatch(/^TEMPLATE +LOCATION +READY +WARMING +LEASED +CLEANING +HITS/);
    expect(out).toMatch(/^leased +local +\d\/2 /m);
    expect(out).toMatch(/^on-demand +local +0\/0 /m);
    expect((await cli('pool', 'status')).out).toContain(out.split('\n')[0]);
  });
});
