import type { MoveCause } from '../domain/move.ts';
import { upgradeLane } from '../domain/steps.ts';
import { isOld, type UpgradeRecord } from '../domain/upgrade.ts';
import { claimsByContainer } from './claims.ts';
import { consolidationJob, planConsolidation } from './consolidate.ts';
import { planSubjects } from './decisions.ts';
import { type Claims, planDepartures } from './departures.ts';
import { emptyingJobs } from './emptying-jobs.ts';
import type { Rooms } from './rooms.ts';
import { joinPlans, NOTHING, type Plan, type World } from './world.ts';

/** Upgrades, drains and consolidation: one bot after the other moves out of containers that are closed, which then go. */
export function planEmptying(world: World, rooms: Rooms): Plan {
  const { state, limits } = world;
  const closed = Object.values(state.containers).filter(({ emptying, removing }) => emptying !== null && !removing);
  const isQuiet = closed.length === 0 && !Object.values(state.upgrades).some(({ endedAt }) => endedAt === null);
  if (isQuiet && limits.consolidateMovesPerHour === 0) return NOTHING;
  const claims = claimsByContainer(state);
  const jobs = [...emptyingJobs(world), ...consolidationJob(world, claims)];
  return joinPlans([
    planConsolidation(world, claims),
    ...jobs.map((job) => planDepartures(world, rooms, job, claims)),
    planEnds(world, claims),
  ]);
}

// Private

function planEnds(world: World, claims: Claims): Plan {
  return planSubjects(world, {
    among: Object.values(world.state.upgrades).filter(({ endedAt }) => endedAt === null),
    name: ({ template }) => `upgrade of ${template}`,
    lane: ({ template }) => upgradeLane(template),
    decide: (upgrade) => (isOver(world, upgrade, claims) ? { kind: 'endUpgrade', template: upgrade.template } : null),
  });
}

/** Nobody is on the way, and unless it was taken back nobody is left either. */
function isOver({ state }: World, upgrade: UpgradeRecord, claims: Claims): boolean {
  const { status, template } = upgrade;
  const isOfIt = (cause: MoveCause): boolean => cause.kind === 'upgrade' && cause.template === template;
  if (state.bots.records.some(({ move }) => move !== null && isOfIt(move.cause))) return false;
  if (status === 'stopping') return true;
  const old = Object.values(state.containers).filter((container) => isOld(container, upgrade));
  return status === 'running' && old.every(({ name }) => (claims.get(name) ?? []).length === 0);
}
