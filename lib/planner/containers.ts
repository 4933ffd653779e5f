import { isIn } from '../domain/bot.ts';
import type { ContainerObservation, ContainerRecord } from '../domain/container.ts';
import { containerLane, type Step } from '../domain/steps.ts';
import { type Decision, planSubjects } from './decisions.ts';
import type { Held, Plan, World } from './world.ts';

/** Brings every recorded container into being, running, or away. */
export function planContainers(world: World): Plan {
  const isOccupied = ({ name }: ContainerRecord): boolean => world.state.bots.records.some((bot) => isIn(bot, name));
  return planSubjects(world, {
    among: Object.values(world.state.containers),
    name: (container) => container.name,
    lane: (container) => containerLane(container.name),
    decide: (container) => decide(world, container, container.removing && isOccupied(container)),
  });
}

// Private

function decide(world: World, container: ContainerRecord, occupied: boolean): Decision {
  const observed = world.listing.kind === 'seen' ? world.listing.value.get(container.name) : undefined;
  if (container.removing) return decideRemoval(world, container, observed, occupied);
  if (observed === undefined) return { kind: 'createContainer', container };
  if (observed.status === 'stopped') return { kind: 'startContainer', container: container.name };
  if (observed.status === 'unknown') return { target: container.name, why: observed.reason };
  const agent = world.agents.get(container.name);
  return agent?.kind === 'unknown' ? { target: container.name, why: agent.reason } : null;
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
