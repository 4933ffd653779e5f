import { describe, expect, it } from 'vitest';
import type { World } from '../../lib/planner/world.ts';
import { nextLook } from '../../lib/services/next-look.ts';
import { aState, aWorld, ECHO_HERE, NOW } from '../planner/builders.ts';
import { aLease, moment, withLeases } from './lease-records.ts';

const lasting = (seconds: number) => ({ state: withLeases([], [aLease('l', { expiresAt: moment(seconds) })]) });
const reserve = { ...ECHO_HERE, target: 1, min: 1, max: 9, batchSize: 1, why: '', refilling: true };

describe('the next look', () => {
  it.each<{ what: string; world: Partial<World>; inMs: number | null }>([
    { what: 'is not needed when nothing is due', world: {}, inMs: null },
    { what: 'is at the end of the next lease', world: lasting(60), inMs: 60_001 },
    { what: 'goes by the clock of leases', world: { ...lasting(60), leaseClock: NOW + 50_000 }, inMs: 10_001 },
    { what: 'leaves one that is over to the plan', world: lasting(-1), inMs: null },
    {
      what: 'leaves one that has ended',
      world: { state: withLeases([], [aLease('l', { end: { at: moment(0), how: 'released' } })]) },
      inMs: null,
    },
    { what: 'is in an hour at the latest, whatever timers can hold', world: lasting(300 * 86_400), inMs: 3_600_000 },
    { what: 'is when a hold ends', world: { holds: new Map([['x', { until: NOW + 500, reason: '' }]]) }, inMs: 501 },
    {
      what: 'is when the next batch is due',
      world: { reserves: new Map([['echo/local', { ...reserve, notBefore: NOW + 700 }]]) },
      inMs: 701,
    },
    {
      what: 'is not for a batch nobody waits for',
      world: { reserves: new Map([['echo/local', { ...reserve, notBefore: NOW + 700, refilling: false }]]) },
      inMs: null,
    },
    {
      what: 'is soon while containers cannot be listed',
      world: { listing: { kind: 'unknown', reason: '' } },
      inMs: 2000,
    },
    {
      what: 'is soon while a location cannot be reached',
      world: { unreachable: new Map([['weur', 'no answer']]) },
      inMs: 2001,
    },
  ])('$what', ({ world, inMs }) => {
    expect(nextLook(aWorld({ state: aState([]), ...world }))?.inMs ?? null).toBe(inMs);
  });
});
