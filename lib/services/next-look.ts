import { nextDeparture } from '../planner/emptying-jobs.ts';
import { nextExpiry } from '../planner/leases.ts';
import { nextMoveDeadline } from '../planner/moves.ts';
import type { World } from '../planner/world.ts';

/** How soon another look is taken when the containers could not be listed, or one of them could not be asked. */
const BLIND_RETRY_MS = 2_000;

/** Timers cannot be set for longer than 24 days, and leases may last a year. */
const LONGEST_MS = 3_600_000;

/** When to look again without being asked to, and at what. */
export interface NextLook {
  readonly inMs: number;
  readonly scope: 'all' | null;
}

/** When the first hold ends, or to see what could not be seen; null: everything else is told by events. */
export function nextLook(world: World): NextLook | null {
  const { monotonic, listing, agents, holds, restartHolds } = world;
  if (listing.kind === 'unknown') return { inMs: BLIND_RETRY_MS, scope: 'all' };
  const due = [...holds.values(), ...restartHolds.values()]
    .map((hold) => hold.until)
    .filter((until) => until > monotonic);
  // An engine may tell that a container died before it lists it as such: nothing but another look will show it.
  if ([...agents.values()].some((agent) => agent.kind === 'unknown')) due.push(monotonic + BLIND_RETRY_MS);
  if (world.unreachable.size > 0) due.push(monotonic + BLIND_RETRY_MS);
  const deadline = nextMoveDeadline(world);
  if (deadline !== null) due.push(monotonic + deadline - world.now);
  due.push(...dueInReserve(world));
  const departure = nextDeparture(world);
  if (departure !== null) due.push(monotonic + departure);
  return due.length === 0 ? null : { inMs: Math.min(LONGEST_MS, Math.min(...due) - monotonic + 1), scope: null };
}

/** By `monotonic`: the end of the next lease, and when warm bots that are missing may be made. */
function dueInReserve(world: World): number[] {
  const { monotonic, leaseClock, reserves } = world;
  const expiry = nextExpiry(world);
  const refills = [...reserves.values()].filter(({ refilling }) => refilling).map(({ notBefore }) => notBefore);
  return [...refills.filter((at) => at > monotonic), ...(expiry === null ? [] : [monotonic + expiry - leaseClock])];
}
