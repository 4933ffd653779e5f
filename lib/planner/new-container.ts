import type { NewContainer } from '../domain/container.ts';
import type { Template } from '../domain/template.ts';
import { imageOverride } from '../domain/upgrade.ts';
import { freeRange, type PortRange } from './ports.ts';
import type { World } from './world.ts';

/** What a container that is to be made is for. */
export interface Purpose {
  readonly template: string;
  /** `template/group/location` */
  readonly pool: string;
  /** Null: for all of its pool. */
  readonly soleBot: string | null;
}

/**
 * A container that may be recorded: with a name nobody has and ports nobody holds. Null when no range of ports is left that
 * is large enough. `made`: those designed from the same world, which are not in the store yet.
 */
export function designContainer(world: World, made: readonly NewContainer[], purpose: Purpose): NewContainer | null {
  const { template: name, pool, soleBot } = purpose;
  const template = world.templates.get(name);
  const capacity = soleBot === null ? (template?.capacity ?? world.limits.maxBotsPerContainer) : 1;
  const basePort = freeRange(world.limits.basePort, capacity, [...knownRanges(world), ...made], world.blockedPorts);
  if (basePort === null) return null;
  return {
    name: freshName(world, name, made),
    pool,
    capacity,
    basePort,
    image: imageOf(world, name, soleBot !== null),
    removing: false,
    soleBot,
    emptying: null,
    entered: false,
    createdAt: new Date(world.now).toISOString(),
  };
}

/** Of new containers of that template, shared or of one bot alone: an upgrade may have it otherwise than the template says. */
export function imageOf(
  { state, templates }: Pick<World, 'state' | 'templates'>,
  name: string,
  alone: boolean,
): string | null {
  return imageUnder(templates.get(name), imageOverride(state.upgrades[name]), alone);
}

/** The same under an upgrade to that image; null: to the template's own. An image that is for bots alone stays. */
export function imageUnder(template: Template | undefined, override: string | null, alone: boolean): string | null {
  const shared = override ?? template?.image ?? null;
  return alone ? (template?.legacy.image ?? shared) : shared;
}

// Private

/** Ranges of recorded and of observed containers: one the store forgot still holds its ports. */
function knownRanges(world: World): PortRange[] {
  const observed = world.listing.kind === 'seen' ? [...world.listing.value.values()] : [];
  return [...Object.values(world.state.containers), ...observed];
}

function freshName(world: World, template: string, made: readonly NewContainer[]): string {
  const observed = world.listing.kind === 'seen' ? [...world.listing.value.keys()] : [];
  const names = new Set([...Object.keys(world.state.containers), ...observed, ...made.map(({ name }) => name)]);
  for (let number = 1; ; number++) {
    const name = `${world.limits.instanceName}-${template}-${number}`;
    if (!names.has(name)) return name;
  }
}
