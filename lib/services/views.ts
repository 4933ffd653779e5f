import type { BotObservation } from '../domain/agent.ts';
import { BOT_STATES, type BotRecord, type BotState, poolKey, wantsProcess } from '../domain/bot.ts';
import type { ContainerRecord } from '../domain/container.ts';
import { type Addresses, botUrl } from '../domain/hosts.ts';
import { type Locations, WELL_KNOWN_LOCATIONS } from '../domain/location.ts';
import { modeOf } from '../domain/mode.ts';
import type { Move } from '../domain/move.ts';
import { explainDestination } from '../planner/explain.ts';
import type { World } from '../planner/world.ts';
import type { Dependencies } from './dependencies.ts';
import { containerMemory } from './memory.ts';
import type {
  BotView,
  ContainerView,
  HealthSummary,
  LocationView,
  MoveView,
  ResourcesView,
  SeatView,
} from './pool-api.ts';
import type { StateTracker } from './state-tracker.ts';

/** A bot as people may see it: wishes and observations, no files, environment or secrets. */
export function botView(bot: BotRecord, states: StateTracker, addresses: Addresses): BotView {
  const tracked = states.get(bot.instanceId);
  const observed = tracked?.observed ?? null;
  return {
    instanceId: bot.instanceId,
    owner: bot.owner,
    template: bot.template,
    pool: poolKey(bot),
    mode: modeOf(bot),
    legacy: bot.legacy,
    container: bot.placement?.container ?? null,
    slot: bot.placement?.slot ?? null,
    port: bot.placement?.port ?? null,
    pid: observed?.pid ?? null,
    url: botUrl(bot.instanceId, addresses),
    state: tracked?.state ?? 'pending',
    desired: bot.desired,
    since: tracked?.since ?? null,
    restarts: observed?.restarts ?? 0,
    ...resources(observed),
    status: observed?.status ?? '',
    reason: tracked?.reason ?? '',
    deleting: bot.deleting,
    createdAt: bot.createdAt,
    files: Object.keys(bot.files),
    move: bot.move && moveView(bot.move),
  };
}

/** Recorded containers and those the driver has that no record knows, which are shown so that nobody overlooks them. */
export function containerViews(world: World, states: StateTracker, at: Dependencies['at']): ContainerView[] {
  const recorded = Object.values(world.state.containers);
  const known = new Set(recorded.map((container) => container.name));
  const observed = world.listing.kind === 'seen' ? [...world.listing.value.values()] : [];
  const bots = Map.groupBy(world.state.bots.records, (bot) => bot.placement?.container);
  return [...recorded, ...observed.filter((container) => !known.has(container.name))].map((container) =>
    containerView(world, states, at, container, bots.get(container.name) ?? []),
  );
}

export function locationViews(world: World, locations: Locations): LocationView[] {
  return locations.all.map((name) => {
    const reason = world.listing.kind === 'unknown' ? world.listing.reason : (world.unreachable.get(name) ?? '');
    const title = Object.hasOwn(WELL_KNOWN_LOCATIONS, name) ? (WELL_KNOWN_LOCATIONS[name] ?? null) : null;
    return { name, title, default: name === locations.default, reachable: reason === '', reason };
  });
}

export function healthSummary(world: World, states: StateTracker, lastCheck: string | null): HealthSummary {
  const bots = Object.fromEntries(BOT_STATES.map((state) => [state, 0])) as Record<BotState, number>;
  let wanted = 0;
  let well = 0;
  for (const bot of world.state.bots.records) {
    const state = states.get(bot.instanceId)?.state ?? 'pending';
    bots[state] += 1;
    if (!wantsProcess(bot)) continue;
    wanted += 1;
    if (state === 'running') well += 1;
  }
  const running = [...world.agents.values()].filter((agent) => agent.kind === 'seen').length;
  const pools = { total: Object.keys(world.state.containers).length, running };
  return { status: verdict(world, wanted, well), pools, bots, lastCheck };
}

// Private

function moveView({ phase, since, to, other, undone, cause }: Move): MoveView {
  const container = other?.placement.container ?? null;
  return { phase, since, to: explainDestination(to), other: container, undone, cause: cause.kind };
}

function verdict(world: World, wanted: number, well: number): HealthSummary['status'] {
  if (world.listing.kind === 'unknown' || (wanted > 0 && well === 0)) return 'unhealthy';
  return well < wanted ? 'degraded' : 'healthy';
}

function containerView(
  world: World,
  states: StateTracker,
  at: Dependencies['at'],
  container: Pick<ContainerRecord, 'name' | 'pool' | 'capacity'> & Partial<Pick<ContainerRecord, 'soleBot'>>,
  bots: readonly BotRecord[],
): ContainerView {
  const [template = '', group = '', location = ''] = container.pool.split('/');
  const agent = world.agents.get(container.name);
  const seen = agent?.kind === 'seen' ? agent.value : null;
  return {
    id: container.name,
    template,
    group,
    location,
    driver: at(location).name,
    containerName: container.name,
    ...containerStatus(world, container.name),
    mode: container.soleBot == null ? 'pooled' : 'legacy',
    legacy: container.soleBot == null ? null : (bots[0]?.legacy ?? null),
    emptying: world.state.containers[container.name]?.emptying?.why ?? null,
    image: world.state.containers[container.name]?.image ?? null,
    botsCount: bots.length,
    capacity: container.capacity,
    utilizationPercent: Math.round((bots.length / container.capacity) * 100),
    memory: seen === null ? null : containerMemory(seen),
    zygotes: seen?.zygotes ?? [],
    services: seen?.services ?? [],
    cgroups: seen?.cgroups ?? null,
    bots: bots.map((bot) => seatView(bot, states)),
  };
}

function seatView(bot: BotRecord, states: StateTracker): SeatView {
  const tracked = states.get(bot.instanceId);
  return {
    instanceId: bot.instanceId,
    slot: bot.placement?.slot ?? 0,
    port: bot.placement?.port ?? 0,
    state: tracked?.state ?? 'pending',
    ...resources(tracked?.observed ?? null),
  };
}

function resources(observed: BotObservation | null): ResourcesView {
  return {
    memory: observed?.memory ?? null,
    cpuSeconds: observed?.cpuSeconds ?? null,
    openFiles: observed?.openFiles ?? null,
    diskBytes: observed?.diskBytes ?? null,
    spawn: observed?.spawn ?? null,
    warning: observed?.warning ?? '',
  };
}

function containerStatus(world: World, name: string): Pick<ContainerView, 'status' | 'reason'> {
  const record = world.state.containers[name];
  if (world.listing.kind === 'unknown') return { status: 'unknown', reason: world.listing.reason };
  if (record === undefined)
    return { status: 'unknown', reason: 'no record of it: cleanup removes it once it is proven empty' };
  if (record.removing) return { status: 'removing', reason: '' };
  const observed = world.listing.value.get(name);
  const hold = world.holds.get(`container ${name}`);
  if (observed === undefined) return { status: 'creating', reason: hold?.reason ?? '' };
  const agent = world.agents.get(name);
  if (observed.status === 'running' && agent?.kind === 'unknown') return { status: 'unknown', reason: agent.reason };
  return { status: observed.status, reason: observed.reason || (hold?.reason ?? '') };
}
