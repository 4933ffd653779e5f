import type { BotRecord } from '../domain/bot.ts';
import { isOnLease, type LeaseRecord } from '../domain/lease.ts';
import type { State } from '../domain/state.ts';
import { LEASES_LANE, leaseLane, type Step } from '../domain/steps.ts';
import { planSubjects } from './decisions.ts';
import { joinPlans, type Plan, type World } from './world.ts';

/** Less than this is no clock that was set, only one that is corrected little by little. */
const STEP_MS = 1000;

/** Ended leases are forgotten many at a time, this long after their end; see REMEMBERED_MS for the least. */
const FORGET_MS = 3_900_000;

/** With more of them every pass would take its time; see REMEMBERED for how many are left. */
const MOST_ENDED = 10_000;

/** Ends leases that are over, also while nothing can be seen of the containers: who has no lease has no access. */
export function planLeases(world: World): Plan {
  const now = timeOf(world);
  const ends = planSubjects(world, {
    among: world.state.leases.records.filter((lease) => lease.end === null && lease.expiresAt <= now),
    name: (lease) => lease.bot,
    lane: (lease) => leaseLane(lease.id),
    decide: ({ id, bot }) => ({ kind: 'expireLease', lease: id, bot }),
  });
  const upkeep = planSubjects(world, {
    among: ['leases'],
    name: (name) => name,
    lane: () => LEASES_LANE,
    decide: () => decideUpkeep(world),
  });
  return joinPlans([ends, upkeep]);
}

/** The lease a bot is on now. */
export function leaseOf(state: State, bot: BotRecord): LeaseRecord | null {
  const lease = state.leases.get(bot.reserve?.lease ?? '');
  return lease !== undefined && lease.end === null && isOnLease(bot, lease.id) ? lease : null;
}

/** When the next lease ends, by `leaseClock`; null: none is out. Those that are over already are the plan's. */
export function nextExpiry(world: Pick<World, 'state' | 'leaseClock'>): number | null {
  const now = timeOf(world);
  let first: string | null = null;
  for (const { end, expiresAt } of world.state.leases.records) {
    if (end === null && expiresAt > now && (first === null || expiresAt < first)) first = expiresAt;
  }
  return first === null ? null : Date.parse(first);
}

// Private

/** Times of one form stand in the order of their text, and there may be thousands of leases in every pass. */
const timeOf = ({ leaseClock }: Pick<World, 'leaseClock'>): string => new Date(leaseClock).toISOString();

function decideUpkeep({ now, leaseClock, state }: World): Step | null {
  const byMs = Math.round(now - leaseClock);
  if (Math.abs(byMs) >= STEP_MS) return { kind: 'shiftLeases', byMs };
  const longAgo = timeOf({ leaseClock: leaseClock - FORGET_MS });
  const ended = state.leases.records.flatMap(({ end }) => end ?? []);
  const isDue = ended.length > MOST_ENDED || ended.some(({ at }) => at < longAgo);
  return isDue ? { kind: 'forgetLeases' } : null;
}
