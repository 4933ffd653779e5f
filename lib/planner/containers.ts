import type { ContainerObservation, ContainerRecord } from '../domain/container.ts';
import { containerLane, type Step } from '../domain/steps.ts';
import { type Decision, planSubjects } from './decisions.ts';
import { judge, tenantsOf } from './emptiness.ts';
import { isGivenUp } from './fallback.ts';
import type { Held, Plan, World } from './world.ts';

/** Brings every recorded container into being, running, or away; by itself those of one bot that has gone. */
export function planContainers(world: World): Plan {
  return planSubjects(world, {
    among: Object.values(world.state.containers),
    name: (container) => container.name,
    lane: (container) => containerLane(container.name),
    decide: (container) => decide(world, container, container.removing && tenantsOf(world, container.name) > 0),
  });
}

// Private

function decide(world: World, container: ContainerRecord, occupied: boolean): Decision {
  const observed = world.listing.kind === 'seen' ? world.listing.value.get(container.name) : undefined;
  if (container.removing) return decideRemoval(world, container, observed, occupied);
  if (observed?.status === 'stopped') return { kind: 'startContainer', container: container.name };
  if (isDeserted(world, container) || isGivenUp(world, container) || isEmptied(world, container))
    return decideRetirement(world, container.name);
  if (observed === undefined) return { kind: 'createContainer', container };
  if (observed.status === 'unknown') return { target: container.name, why: observed.reason };
  const agent = world.agents.get(container.name);
  return agent?.kind === 'unknown' ? { target: container.name, why: agent.reason } : null;
}

/** Made for a bot that lives elsewhere now, or not at all. One without a place yet may still come, and one on its way come back. */
function isDeserted({ state }: World, { name, soleBot }: ContainerRecord): boolean {
  if (soleBot === null) return false;
  const bot = state.bots.get(soleBot);
  if (bot === undefined) return true;
  if (bot.move !== null) return false;
  return bot.placement === null ? bot.legacy === null : bot.placement.container !== name;
}

/** One that is looked after stays. */
function isEmptied(world: World, { name, emptying }: ContainerRecord): boolean {
  return emptying !== null && emptying.why !== 'drain' && tenantsOf(world, name) === 0;
}

function decideRetirement(world: World, container: string): Decision {
  const verdict = judge(world, container);
  if (verdict.kind === 'keep') return { target: container, why: verdict.why };
  if (verdict.leftovers.length === 0) return { kind: 'retireContainer', container };
  const left = verdict.leftovers.join(', ');
  return { target: container, why: `${left} is left in it by bots the store does not know: cleanup archives that` };
}

/** It was proven empty before it was marked. Whatever speaks against that now, keeps it. */
function decideRemoval(
  world: World,
  { name, generation }: ContainerRecord,
  observed: ContainerObservation | undefined,
  occupied: boolean,
): Step | Held {
  if (occupied) return { target: name, why: 'is to be removed but still has bots' };
  if (observed === undefined) return { kind: 'forgetContainer', container: name };
  if (observed.status === 'unknown') return { target: name, why: observed.reason };
  if (observed.generation !== generation) return { target: name, why: 'is to be removed, but is another of that name' };
  const agent = world.agents.get(name);
  if (observed.status === 'running' && agent?.kind !== 'seen')
    return { target: name, why: agent?.reason ?? 'has not been asked yet' };
  if (agent?.kind === 'seen' && agent.value.bots.length > 0)
    return { target: name, why: 'is to be removed but runs bots' };
  return { kind: 'removeContainer', container: name };
}
