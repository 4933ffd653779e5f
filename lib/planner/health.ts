import type { BotObservation } from '../domain/agent.ts';
import type { Template } from '../domain/template.ts';
import type { World } from './world.ts';

/** Why a ready process does not count as well; null when it does. */
export function unhealthyReason(
  world: Pick<World, 'health'>,
  instanceId: string,
  template: Template,
  observed: BotObservation,
): string | null {
  if (observed.listener === 'other') return `port ${observed.port} is held by another process`;
  const health = world.health.get(instanceId);
  if (health === undefined || health.startedAt !== observed.startedAt) return null;
  return health.failures >= template.failureThreshold ? health.reason : null;
}
