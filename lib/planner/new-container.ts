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
    image: imageOverride(world.state.upgrades[name]) ?? imageOf(template, soleBot !== null),
    removing: false,
    soleBot,
    emptying: null,
    entered: false,
    createdAt: new Date(world.now).toISOString(),
  };
}

/** Of containers of that template, shared or of one bot alone. */
export function imageOf(template: Template | undefined, alone: boolean): string | null {
  const shared = template?.image ?? null;
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
