import type { BotRecord } from '../domain/bot.ts';
import { isOnLease, type LeaseRecord } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import { LEASES_LANE, leaseLane, type Step } from '../domain/steps.ts';
import { planSubjects, type Subject } from './decisions.ts';
import type { Plan, World } from './world.ts';

/** Less than this is no clock that was set, only one that is corrected little by little. */
const STEP_MS = 1000;

/** Ended leases are forgotten many at a time, this long after their end; see REMEMBERED_MS for the least. */
const FORGET_MS = 3_900_000;

/** Ends leases that are over, also while nothing can be seen of the containers: who has no lease has no access. */
export function planLeases(world: World): Plan {
  const { leases } = world.state;
  const over = lasting(leases.records).filter((lease) => Date.parse(lease.expiresAt) <= world.leaseClock);
  return planSubjects(world, [...over.map(end), upkeep(world)]);
}

/** The lease a bot is on now. */
export function leaseOf(state: State, bot: BotRecord): LeaseRecord | null {
  const lease = state.leases.get(bot.reserve?.lease ?? '');
  return lease !== undefined && lease.end === null && isOnLease(bot, lease.id) ? lease : null;
}

/** When the next lease ends, by `leaseClock`; null: none is out. Those that are over already are the plan's. */
export function nextExpiry({ state, leaseClock }: Pick<World, 'state' | 'leaseClock'>): number | null {
  const ends = lasting(state.leases.records)
    .map((lease) => Date.parse(lease.expiresAt))
    .filter((at) => at > leaseClock);
  return ends.length === 0 ? null : ends.reduce((a, b) => Math.min(a, b));
}

// Private

const lasting = (leases: readonly LeaseRecord[]): LeaseRecord[] => leases.filter((lease) => lease.end === null);

function end({ id, bot }: LeaseRecord): Subject {
  const step: Step = { kind: 'expireLease', lease: id, bot };
  return { name: bot, lane: leaseLane(id), decide: () => step };
}

function upkeep(world: World): Subject {
  return { name: 'leases', lane: LEASES_LANE, decide: () => decideUpkeep(world) };
}

function decideUpkeep({ now, leaseClock, state }: World): Step | null {
  const byMs = Math.round(now - leaseClock);
  if (Math.abs(byMs) >= STEP_MS) return { kind: 'shiftLeases', byMs };
  const old = state.leases.records.some(({ end }) => end !== null && Date.parse(end.at) < leaseClock - FORGET_MS);
  return old ? { kind: 'forgetLeases' } : null;
}
