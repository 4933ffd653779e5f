import { BunkhouseError } from '../domain/errors.ts';
import type { World } from '../planner/world.ts';
import type { Address } from '../probes/probe.ts';

/** Where a bot's port is reached now. Throws BOT_UNAVAILABLE. */
export function botAddress({ state, listing }: Pick<World, 'state' | 'listing'>, instanceId: string): Address {
  const placement = state.bots.get(instanceId)?.placement ?? null;
  const container = placement !== null && listing.kind === 'seen' ? listing.value.get(placement.container) : undefined;
  if (placement === null || container === undefined) {
    throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} is not in a container that can be reached now`);
  }
  return { host: container.host, port: placement.port };
}
