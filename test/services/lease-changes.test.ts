import { describe, expect, it } from 'vitest';
import { BunkhouseError } from '../../lib/domain/errors.ts';
import type { State } from '../../lib/domain/state.ts';
import {
  type Acquisition,
  endLease,
  extendLease,
  forgetLeases,
  latestMoment,
  leaseNew,
  leaseReady,
  shiftLeases,
} from '../../lib/services/lease-changes.ts';
import {
  addReserve,
  admitReady,
  beginReset,
  discardBot,
  overtake,
  rewarm,
} from '../../lib/services/reserve-changes.ts';
import { aBot, ECHO_HERE, NOW } from '../planner/builders.ts';
import { aLease, aMember, moment, withLeases } from './lease-records.ts';

const wish: Acquisition = {
  id: 'l9',
  template: 'echo',
  location: 'local',
  owner: 'bob',
  ttlSeconds: 30,
  now: NOW,
  limits: { perOwner: null, hourly: null, daily: null },
};

const later = (seconds: number): number => NOW + seconds * 1000;
const leased = (): State => withLeases([aMember('a', 'assigned')], [aLease('lease-of-a', { bot: 'a' })]);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof BunkhouseError) return error.code;
    throw error;
  }
  return 'done';
}

describe('acquiring', () => {
  it('gives a ready bot to its holder, with a fence that only grows', () => {
    const { state, result } = leaseReady('a', wish)(withLeases([aMember('a', 'ready', { generation: 7 })], []));
    const bot = state.bots.get('a');
    expect(result).toMatchObject({ bot: 'a', owner: 'bob', fromPool: true, expiresAt: moment(30), fence: 101 });
    expect(bot).toMatchObject({ owner: 'bob', generation: 101, reserve: { phase: 'assigned', lease: 'l9' } });
    // It runs already and goes on doing so: it is neither restarted nor told to resume.
    expect(bot).toMatchObject({ restartGeneration: 1, desiredGeneration: 1 });
    expect(state.leases.get('l9')).toEqual(result);
    expect(state.quotas.get('bob')?.day.count).toBe(1);
  });

  it('goes anywhere when no location is asked for, and the lease says where', () => {
    const state = withLeases([aMember('a', 'ready', { location: 'weur' })], []);
    expect(leaseReady('a', { ...wish, location: null })(state).result.location).toBe('weur');
  });

  it.each([
    { what: 'a warming one', bot: aMember('a', 'warming'), code: 'CONFLICT' },
    { what: 'one in another location', bot: aMember('a', 'ready', { location: 'weur' }), code: 'CONFLICT' },
    { what: 'one on lease', bot: aMember('a', 'assigned'), code: 'CONFLICT' },
    { what: 'a dirty one', bot: aMember('a', 'expired'), code: 'CONFLICT' },
    { what: 'one that is being cleaned', bot: aMember('a', 'resetting'), code: 'CONFLICT' },
    { what: 'one that is being deleted', bot: aMember('a', 'ready', { deleting: true }), code: 'CONFLICT' },
    { what: 'an ordinary one', bot: aBot('a'), code: 'CONFLICT' },
    { what: 'nobody', bot: aMember('b', 'ready'), code: 'NOT_FOUND' },
  ])('refuses $what', ({ bot, code }) => {
    expect(codeOf(() => leaseReady('a', wish)(withLeases([bot], [])))).toBe(code);
  });

  it('makes a new bot below the most, those that are being deleted included', () => {
    const state = withLeases([aMember('a', 'assigned'), aMember('b', 'expired', { deleting: true })], []);
    expect(leaseNew(aBot('n'), wish, 3)(state).result).toMatchObject({ bot: 'n', fromPool: false, owner: 'bob' });
    expect(codeOf(() => leaseNew(aBot('n'), wish, 2)(state))).toBe('POOL_EXHAUSTED');
    expect(codeOf(() => leaseNew(aBot('a'), wish, 9)(state))).toBe('CONFLICT');
  });

  it.each([
    { what: 'when the first lease ends', expiresAt: moment(12), after: 12 },
    { what: 'in a minute at the latest', expiresAt: moment(600), after: 60 },
    { what: 'soon when one is over already', expiresAt: moment(-5), after: 1 },
  ])('says to try again $what', ({ expiresAt, after }) => {
    const state = withLeases([aMember('a', 'assigned')], [aLease('l1', { bot: 'a', expiresAt })]);
    expect(() => leaseNew(aBot('n'), wish, 1)(state)).toThrow(expect.objectContaining({ retryAfterSeconds: after }));
  });

  it.each([
    { location: 'local', after: 5 },
    { location: null, after: 5 },
    { location: 'weur', after: 60 },
  ])('says to try again soon when one is being cleaned that may be had: $location', ({ location, after }) => {
    const bots = [aMember('a', 'assigned'), aMember('b', 'resetting')];
    const state = withLeases(bots, [aLease('l1', { bot: 'a', expiresAt: moment(600) })]);
    const refused = expect.objectContaining({ retryAfterSeconds: after });
    expect(() => leaseNew(aBot('n'), { ...wish, location }, 2)(state)).toThrow(refused);
  });

  it.each([
    { location: 'local', after: 30 },
    { location: 'weur', after: 12 },
    { location: null, after: 12 },
    { location: 'enam', after: 60 },
  ])('says to try again when a lease ends where one is asked for: $location', ({ location, after }) => {
    const bots = [aMember('a', 'assigned'), aMember('b', 'assigned', { location: 'weur' })];
    const state = withLeases(bots, [
      aLease('l1', { bot: 'a', expiresAt: moment(30) }),
      aLease('l2', { bot: 'b', location: 'weur', expiresAt: moment(12) }),
    ]);
    const refused = expect.objectContaining({ retryAfterSeconds: after });
    expect(() => leaseNew(aBot('n'), { ...wish, location }, 2)(state)).toThrow(refused);
  });

  it('does not give one id to two leases', () => {
    const state = withLeases([aMember('a', 'ready')], [aLease('l9')]);
    expect(codeOf(() => leaseReady('a', wish)(state))).toBe('CONFLICT');
  });
});

describe('extending', () => {
  it.each([
    { what: 'while it lasts', seconds: 30, at: 59, result: moment(90) },
    { what: 'to the longest time', seconds: 540, at: 0, result: moment(600) },
    { what: 'beyond it', seconds: 541, at: 0, result: 'INVALID' },
    { what: 'when its time is over, though nobody ended it yet', seconds: 1, at: 60, result: 'CONFLICT' },
  ])('$what', ({ seconds, at, result }) => {
    const extend = () => extendLease('lease-of-a', seconds, 600, later(at))(leased()).result.expiresAt;
    expect(result.includes('T') && result.endsWith('Z') ? extend() : codeOf(extend)).toBe(result);
  });

  it('is not for an ended one, nor for one nobody knows', () => {
    const state = endLease('lease-of-a', 'released', NOW)(leased()).state;
    expect(codeOf(() => extendLease('lease-of-a', 1, 600, NOW)(state))).toBe('CONFLICT');
    expect(codeOf(() => extendLease('nobody', 1, 600, NOW)(state))).toBe('NOT_FOUND');
  });

  it('lets the bot hear of it, without a restart', () => {
    const { state } = extendLease('lease-of-a', 30, 600, NOW)(leased());
    expect(state.bots.get('a')).toMatchObject({ generation: 101, restartGeneration: 1, desiredGeneration: 1 });
  });
});

describe('ending', () => {
  it('takes the bot from its holder and has it stopped', () => {
    const { state, result } = endLease('lease-of-a', 'released', later(5))(leased());
    expect(result?.end).toEqual({ at: moment(5), how: 'released' });
    expect(state.bots.get('a')).toMatchObject({
      owner: 'pool',
      desired: 'stopped',
      generation: 101,
      reserve: { phase: 'expired', lease: 'lease-of-a' },
    });
  });

  it('happens once', () => {
    const { state } = endLease('lease-of-a', 'released', NOW)(leased());
    expect(endLease('lease-of-a', 'expired', later(99))(state)).toEqual({ state, result: null });
  });

  it('does not expire a lease that was extended meanwhile', () => {
    const state = leased();
    expect(endLease('lease-of-a', 'expired', later(59.9))(state)).toEqual({ state, result: null });
    expect(endLease('lease-of-a', 'expired', later(60))(state).result?.end?.how).toBe('expired');
  });

  it('leaves a bot alone that is on another lease by now', () => {
    const state = withLeases(
      [aMember('a', 'assigned')],
      [aLease('lease-of-a', { bot: 'a' }), aLease('old', { bot: 'a' })],
    );
    expect(endLease('old', 'expired', later(60))(state).state.bots.get('a')).toBe(state.bots.get('a'));
  });

  it('remembers for an hour', () => {
    const { state } = endLease('lease-of-a', 'released', NOW)(leased());
    expect(forgetLeases(later(3600))(state).state.leases.size).toBe(1);
    expect(forgetLeases(later(3601))(state).state.leases.size).toBe(0);
    expect(forgetLeases(later(99_999))(leased()).state.leases.size).toBe(1);
  });

  it('remembers the newest of very many', () => {
    const ended = (n: number) => aLease(`l${n}`, { end: { at: moment(-n / 100), how: 'released' } });
    const leases = [aLease('lasting'), ...Array.from({ length: 6000 }, (_, n) => ended(n))];
    const kept = (count: number) => forgetLeases(NOW)(withLeases([], leases.slice(0, 1 + count))).state.leases;
    expect([kept(5000).size, kept(6000).size]).toEqual([5001, 5001]);
    expect(['lasting', 'l4999', 'l5000'].filter((id) => kept(6000).has(id))).toEqual(['lasting', 'l4999']);
  });
});

describe('a clock that was set', () => {
  it('moves the leases that last, and lets their bots hear of it', () => {
    const ended = aLease('old', { end: { at: moment(-9), how: 'expired' } });
    const before = withLeases([aMember('a', 'assigned')], [aLease('lease-of-a', { bot: 'a' }), ended]);
    const { state } = shiftLeases(-3_600_000)(before);
    expect(state.leases.get('lease-of-a')).toMatchObject({ createdAt: moment(-3600), expiresAt: moment(-3540) });
    expect(state.leases.get('old')).toBe(ended);
    expect(state.bots.get('a')?.generation).toBe(101);
  });

  it('moves the times from which bots of the reserve wait, of which their containers need not hear', () => {
    const before = withLeases([aMember('a', 'warming'), aMember('b', 'ready', {}, -60), aBot('c')], []);
    const { state } = shiftLeases(86_400_000)(before);
    const bots = ['a', 'b'].map((id) => state.bots.get(id));
    expect(bots.map((bot) => bot?.reserve?.since)).toEqual([moment(86_400), moment(86_340)]);
    expect(bots.map((bot) => bot?.generation)).toEqual([1, 1]);
    expect(state.bots.get('c')).toBe(before.bots.get('c'));
  });

  it('is behind the latest moment that a lease or a bot of the reserve tells of', () => {
    const ended = aLease('old', { createdAt: moment(99), end: { at: moment(99), how: 'expired' } });
    const lease = aLease('l', { createdAt: moment(5) });
    expect(latestMoment(withLeases([aMember('a', 'ready', {}, 7), aBot('c')], [lease, ended]))).toBe(NOW + 7000);
    expect(latestMoment(withLeases([], [lease]))).toBe(NOW + 5000);
    expect(latestMoment(withLeases([], []))).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe('the reserve', () => {
  it('is filled up to its target and the most, whoever asks how often', () => {
    const state = withLeases([aMember('a', 'ready'), aMember('b', 'assigned')], []);
    const bots = ['n1', 'n2', 'n3'].map((id) => aBot(id));
    const fill = (target: number, most: number) => addReserve(ECHO_HERE, bots, { target, most }, NOW)(state);
    expect(fill(3, 99).result).toBe(2);
    expect(fill(9, 99).result).toBe(3);
    expect(fill(9, 4).result).toBe(2);
    expect(fill(1, 99)).toEqual({ state, result: 0 });
    const { state: full } = fill(3, 99);
    expect(full.bots.get('n1')).toMatchObject({ owner: 'pool', reserve: { phase: 'warming', lease: null, served: 0 } });
    expect(addReserve(ECHO_HERE, [aBot('n9')], { target: 3, most: 99 }, NOW)(full).result).toBe(0);
  });

  it.each([
    { what: 'admitReady', change: admitReady('a', NOW), phases: ['warming'] },
    { what: 'beginReset', change: beginReset('a', NOW), phases: ['expired', 'resetting'] },
    { what: 'rewarm', change: rewarm('a', {}, NOW), phases: ['resetting'] },
  ])('$what is for bots that are $phases', ({ change, phases }) => {
    for (const phase of ['warming', 'ready', 'assigned', 'expired', 'resetting'] as const) {
      const code = codeOf(() => change(withLeases([aMember('a', phase)], [])));
      expect(code, phase).toBe(phases.includes(phase) ? 'done' : 'CONFLICT');
    }
    expect(codeOf(() => change(withLeases([aMember('a', phases[0] as 'warming', { deleting: true })], [])))).toBe(
      'CONFLICT',
    );
  });

  it('starts a cleaned bot anew, with other secrets and without what its holder brought', () => {
    const dirty = aMember('a', 'resetting', { desired: 'stopped', secrets: { password: 'old' } });
    const bot = rewarm('a', { password: 'new' }, NOW)(withLeases([dirty], [])).state.bots.get('a');
    expect(bot).toMatchObject({
      desired: 'running',
      secrets: { password: 'new' },
      generation: 101,
      restartGeneration: 101,
    });
    expect(bot?.reserve).toMatchObject({ phase: 'warming', lease: null, served: 1 });
  });

  it('loses a lease with its bot', () => {
    const { state, result } = discardBot('a', later(3))(leased());
    expect(result).toMatchObject({ id: 'lease-of-a', end: { at: moment(3), how: 'lost' } });
    expect(state.bots.get('a')?.deleting).toBe(true);
    expect(discardBot('a', NOW)(state)).toEqual({ state, result: null });
    expect(codeOf(() => discardBot('o', NOW)(withLeases([aBot('o')], [])))).toBe('CONFLICT');
  });

  it.each(['warming', 'ready', 'assigned', 'resetting'] as const)(
    'does not believe an older store that says %s of a bot whose container knows more',
    (phase) => {
      const before = withLeases(
        [aMember('a', phase)],
        phase === 'assigned' ? [aLease('lease-of-a', { bot: 'a' })] : [],
      );
      const { state } = overtake('a', 5000, NOW)(before);
      expect(state.bots.get('a')).toMatchObject({ owner: 'pool', desired: 'stopped', reserve: { phase: 'expired' } });
      expect(state.bots.get('a')?.generation).toBeGreaterThan(5000);
      expect(state.leases.records.every((lease) => lease.end?.how === 'lost')).toBe(true);
    },
  );

  it('goes on with a bot whose container knows just what the store does', () => {
    const { state } = overtake('a', 1, NOW)(leased());
    expect(state.bots.get('a')?.reserve?.phase).toBe('assigned');
    expect(state.leases.get('lease-of-a')?.end).toBeNull();
  });
});
