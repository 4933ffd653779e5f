import type { BotRecord } from '../domain/bot.ts';
import { type ContainerRecord, closedContainers } from '../domain/container.ts';
import { BunkhouseError } from '../domain/errors.ts';
import type { MoveCause } from '../domain/move.ts';
import { botLane, containerLane } from '../domain/steps.ts';
import type { Template } from '../domain/template.ts';
import {
  DRAIN_SURGE,
  imageOverride,
  isOld,
  UPGRADE_PACE,
  type UpgradeAction,
  type UpgradeRecord,
} from '../domain/upgrade.ts';
import { claimsByContainer } from '../planner/claims.ts';
import { type Claims, isToMove, obstacleOf } from '../planner/departures.ts';
import { emptyingJobs, type Job } from '../planner/emptying-jobs.ts';
import { forecast } from '../planner/forecast.ts';
import type { World } from '../planner/world.ts';
import type { Dependencies } from './dependencies.ts';
import type { PoolOptions } from './pool-api.ts';
import type { Reconciler } from './reconciler.ts';
import type {
  DrainRequest,
  DrainView,
  UpgradeApi,
  UpgradeForecast,
  UpgradeRequest,
  UpgradeView,
} from './upgrade-api.ts';
import { changeUpgrade, drain, startUpgrade, undoDrain } from './upgrade-changes.ts';

/** The use cases of rolling upgrades and drains: change the wish durably, ask for a pass. */
export class Upgrades implements UpgradeApi {
  readonly #deps: Dependencies;
  readonly #reconciler: Reconciler;
  readonly #options: Pick<PoolOptions, 'defaultTemplate'>;

  constructor(deps: Dependencies, reconciler: Reconciler, options: Pick<PoolOptions, 'defaultTemplate'>) {
    this.#deps = deps;
    this.#reconciler = reconciler;
    this.#options = options;
  }

  forecast(request: UpgradeRequest): UpgradeForecast {
    const template = this.#template(request.template);
    const world = this.#reconciler.world();
    const image = request.image ?? template.image;
    const bots = world.state.bots.records
      .filter((bot) => bot.template === template.name && !bot.deleting)
      .map((bot) => {
        const { instanceId, placement } = bot;
        return {
          instanceId,
          container: placement?.container ?? null,
          ...forecast(world, bot, template, request.image ?? null),
        };
      });
    return { template: template.name, image, bots };
  }

  async start(request: UpgradeRequest): Promise<UpgradeView> {
    const { name: template } = this.#template(request.template);
    const { store, clock } = this.#deps;
    const {
      image = null,
      surge = UPGRADE_PACE.surge,
      spacingSeconds = UPGRADE_PACE.spacingSeconds,
      failureBudget = UPGRADE_PACE.failureBudget,
      holdSeconds = null,
    } = request;
    const order = { template, image, surge, spacingSeconds, failureBudget, holdSeconds };
    return this.#changed(await store.update(startUpgrade(order, clock.now())));
  }

  list(): readonly UpgradeView[] {
    const world = this.#reconciler.world();
    return Object.values(world.state.upgrades).map((upgrade) => this.#view(world, upgrade));
  }

  get(template: string): UpgradeView {
    const world = this.#reconciler.world();
    const { upgrades } = world.state;
    const upgrade = Object.hasOwn(upgrades, template) ? upgrades[template] : undefined;
    if (upgrade === undefined) throw new BunkhouseError('NOT_FOUND', `there is no upgrade of ${template}`);
    return this.#view(world, upgrade);
  }

  async act(template: string, action: UpgradeAction): Promise<UpgradeView> {
    const { store, clock } = this.#deps;
    return this.#changed(await store.update(changeUpgrade(template, action, clock.now())));
  }

  async drain({ container, surge = DRAIN_SURGE, force = false }: DrainRequest): Promise<DrainView> {
    const { store, clock, events } = this.#deps;
    await store.update(drain(container, { surge, force }, clock.now()));
    events.emit({ type: 'container.emptying', container, why: 'drain' }, null);
    this.#reconciler.request();
    return this.#drainView(container);
  }

  async undoDrain(container: string): Promise<DrainView> {
    const { store, clock, events } = this.#deps;
    const { emptying } = await store.update(undoDrain(container, clock.now()));
    if (emptying === null) events.emit({ type: 'container.opened', container }, null);
    this.#reconciler.request();
    return this.#drainView(container);
  }

  drains(): readonly DrainView[] {
    const { containers } = this.#deps.store.current();
    const drained = Object.values(containers).filter(({ emptying }) => emptying?.why === 'drain');
    return drained.map(({ name }) => this.#drainView(name));
  }

  // Private

  #template(name = this.#options.defaultTemplate): Template {
    const { templates } = this.#deps;
    const template = templates.get(name);
    if (template !== undefined) return template;
    const known = [...templates.keys()].join(', ');
    throw new BunkhouseError('INVALID', `there is no template ${name}; there are: ${known}`);
  }

  #changed(upgrade: UpgradeRecord): UpgradeView {
    const { template, status, moved, failures } = upgrade;
    const change = { template, status, moved, failures: failures.length };
    this.#deps.events.emit({ type: 'upgrade.changed', ...change }, null);
    this.#reconciler.request();
    return this.#view(this.#reconciler.world(), upgrade);
  }

  #view(world: World, upgrade: UpgradeRecord): UpgradeView {
    const { generation: _, previousImage: _previous, begunAt: _begun, ...facts } = upgrade;
    const old = Object.values(world.state.containers).filter((container) => isOld(container, upgrade));
    const isOfIt = ({ kind, ...cause }: MoveCause): boolean =>
      kind === 'upgrade' && 'template' in cause && cause.template === upgrade.template;
    const job = emptyingJobs(world).find(({ cause }) => isOfIt(cause('')));
    const template = this.#deps.templates.get(upgrade.template);
    return {
      ...facts,
      image: imageOverride(upgrade) ?? template?.image ?? null,
      ...progress(world, old, job),
      onTheirWay: onTheirWay(world, isOfIt),
      containers: old.map(({ name }) => name),
    };
  }

  #drainView(name: string): DrainView {
    const world = this.#reconciler.world();
    const container = world.state.containers[name];
    if (container === undefined) throw new BunkhouseError('NOT_FOUND', `there is no container ${name}`);
    const isOfIt = (cause: MoveCause): boolean => cause.kind === 'drain' && cause.container === name;
    const job = emptyingJobs(world).find(({ cause }) => isOfIt(cause('')));
    return {
      container: name,
      status: container.emptying === null ? 'open' : 'closed',
      since: container.emptying?.since ?? null,
      ...progress(world, [container], job),
      onTheirWay: onTheirWay(world, isOfIt),
      roomElsewhere: roomElsewhere(world, container),
    };
  }
}

// Private

/** Who is left in containers, and who of them does not move now. `job`: that moves them; none while they are not moved. */
function progress(
  world: World,
  containers: readonly ContainerRecord[],
  job: Job | undefined,
): Pick<UpgradeView, 'left' | 'heldBack'> {
  const claims = claimsByContainer(world.state);
  const left = containers.flatMap((container) => leftIn(claims, container));
  const movable = containers.flatMap((container) =>
    (claims.get(container.name) ?? []).filter((bot) => isToMove(bot, container)),
  );
  const heldBack = movable.flatMap((bot) => {
    const why = job === undefined ? null : obstacleOf(world, job, bot);
    return why === null ? [] : [{ bot: bot.instanceId, why }];
  });
  return { left: left.length, heldBack };
}

/** Warm bots too: they are replaced. */
function leftIn(claims: Claims, { name }: ContainerRecord): readonly BotRecord[] {
  return (claims.get(name) ?? []).filter((bot) => bot.move === null && bot.placement?.container === name);
}

function onTheirWay({ state, holds }: World, isOfIt: (cause: MoveCause) => boolean): UpgradeView['onTheirWay'] {
  return state.bots.records.flatMap(({ instanceId: bot, move }) => {
    if (move === null || !isOfIt(move.cause)) return [];
    const lanes = [botLane(bot), ...(move.other === null ? [] : [containerLane(move.other.placement.container)])];
    const trouble = lanes.map((lane) => holds.get(lane)?.reason).find((reason) => reason !== undefined) ?? null;
    return [{ bot, phase: move.phase, undone: move.undone, trouble }];
  });
}

function roomElsewhere({ state }: World, { name, pool }: ContainerRecord): number {
  const [claims, closed] = [claimsByContainer(state), closedContainers(state.containers)];
  const others = Object.values(state.containers).filter(
    (other) => other.name !== name && other.pool === pool && other.soleBot === null && !closed.has(other.name),
  );
  return others.reduce((sum, other) => sum + other.capacity - (claims.get(other.name) ?? []).length, 0);
}
