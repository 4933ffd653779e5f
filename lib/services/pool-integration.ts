import type { LogChunk } from '../domain/agent.ts';
import { type BotRecord, belongsTo, type Desired, poolKey } from '../domain/bot.ts';
import { BunkhouseError, hasCode, messageOf } from '../domain/errors.ts';
import { botUrl } from '../domain/hosts.ts';
import { modeOf } from '../domain/mode.ts';
import { isHeldStill } from '../domain/move.ts';
import type { Actor } from '../domain/state.ts';
import type { Template } from '../domain/template.ts';
import { explainStep, stepTarget } from '../planner/explain.ts';
import { renderRecord, valuesOf } from '../planner/values.ts';
import { isoTime } from '../util/clock.ts';
import { onePerContainer } from './alone.ts';
import { addBot, findBot, markDeleting, reviseBot, setDesired, unlessMigrating } from './bot-container-mapper.ts';
import { checkDesired, newBot, revisedBot, visibleBot } from './bots.ts';
import { cleanup } from './container-pool.ts';
import type { Dependencies } from './dependencies.ts';
import { Lives, lifeOf } from './lives.ts';
import { sumMemory } from './memory.ts';
import { requestMove } from './move-request.ts';
import type {
  AssignmentView,
  BotFilter,
  BotPage,
  BotView,
  ChangeBot,
  CreateBot,
  LocationView,
  MoveBot,
  PlanView,
  PoolApi,
  PoolOptions,
  PoolStatus,
  RouteTarget,
  SweepReport,
} from './pool-api.ts';
import { preview } from './preview.ts';
import type { Reconciler } from './reconciler.ts';
import { discardBot } from './reserve-changes.ts';
import { sweep } from './sweep.ts';
import { botView, containerViews, healthSummary, locationViews } from './views.ts';

/** The use cases over store and reconciler: check, change the wish durably, ask for a pass. */
export class PoolIntegration implements PoolApi {
  readonly #deps: Dependencies;
  readonly #reconciler: Reconciler;
  readonly #options: PoolOptions;
  readonly #lives: Lives;

  constructor(deps: Dependencies, reconciler: Reconciler, options: PoolOptions) {
    this.#deps = deps;
    this.#reconciler = reconciler;
    this.#options = options;
    this.#lives = new Lives(reconciler);
  }

  async createBot(actor: Actor, request: CreateBot): Promise<BotView> {
    const bot = newBot({ ...this.#deps, ...this.#options }, actor, request);
    const record = await this.#deps.store.update(unlessMigrating(bot.instanceId, addBot(bot)));
    const { instanceId, owner, template } = record;
    this.#deps.events.emit({ type: 'bot.created', bot: instanceId, owner, template }, owner);
    return this.#changed(record);
  }

  listBots(actor: Actor, filter: BotFilter): BotPage {
    const owner = actor.role === 'owner' ? actor.owner : filter.owner;
    const limit = filter.limit ?? 200;
    const matching = this.#deps.store
      .current()
      .bots.records.filter((bot) => owner === undefined || belongsTo(bot, owner))
      .filter((bot) => filter.template === undefined || bot.template === filter.template)
      .filter((bot) => filter.container === undefined || bot.placement?.container === filter.container)
      .filter((bot) => filter.after === undefined || bot.instanceId > filter.after)
      .sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1))
      .map((bot) => this.#view(bot))
      .filter((bot) => filter.state === undefined || bot.state === filter.state);
    const bots = matching.slice(0, limit);
    return { bots, next: matching.length > limit ? (bots.at(-1)?.instanceId ?? null) : null };
  }

  getBot(actor: Actor, instanceId: string): BotView {
    return this.#view(this.#find(actor, instanceId));
  }

  async changeBot(actor: Actor, instanceId: string, change: ChangeBot): Promise<BotView> {
    const bot = this.#find(actor, instanceId);
    refuseOfReserve(bot);
    if (change.desired !== undefined) checkDesired(this.#deps.templates.get(bot.template), change.desired);
    const { desired, ...content } = change;
    let record = bot;
    if (Object.keys(content).length > 0) {
      record = await this.#deps.store.update(
        unlessMigrating(
          instanceId,
          reviseBot(instanceId, (current) => revisedBot(this.#deps, actor, current, content), true),
        ),
      );
      this.#deps.events.emit({ type: 'bot.changed', bot: instanceId }, record.owner);
    }
    return desired === undefined ? this.#changed(record) : this.setDesired(actor, instanceId, desired);
  }

  async deleteBot(actor: Actor, instanceId: string): Promise<BotView> {
    const { reserve, template } = this.#find(actor, instanceId);
    if (reserve === null)
      return this.#changed(await this.#deps.store.update(unlessMigrating(instanceId, markDeleting(instanceId))));
    if (actor.role !== 'admin') throw ofReserve(instanceId);
    const lost = await this.#deps.store.update(discardBot(instanceId, this.#reconciler.leaseClock.now()));
    if (lost !== null) {
      const { id: lease, owner } = lost;
      this.#deps.events.emit({ type: 'lease.ended', lease, bot: instanceId, template, how: 'lost' }, owner);
    }
    return this.#changed(findBot(this.#deps.store.current(), instanceId));
  }

  async setDesired(actor: Actor, instanceId: string, desired: Desired): Promise<BotView> {
    const before = this.#find(actor, instanceId);
    refuseOfReserve(before);
    checkDesired(this.#deps.templates.get(before.template), desired);
    const { bot, changed } = await this.#deps.store.update(
      unlessMigrating(instanceId, setDesired(instanceId, desired)),
    );
    if (changed) this.#deps.events.emit({ type: 'bot.desired', bot: instanceId, desired }, bot.owner);
    return this.#changed(bot);
  }

  async restartBot(actor: Actor, instanceId: string): Promise<BotView> {
    const bot = this.#find(actor, instanceId);
    if (bot.desired === 'stopped') throw new BunkhouseError('CONFLICT', `${instanceId} is stopped; start it instead`);
    const record = await this.#deps.store.update(
      unlessMigrating(
        instanceId,
        reviseBot(instanceId, () => ({}), true),
      ),
    );
    this.#deps.events.emit({ type: 'bot.restarted', bot: instanceId, why: 'asked for' }, record.owner);
    return this.#changed(record);
  }

  async moveBot(actor: Actor, instanceId: string, request: MoveBot): Promise<BotView> {
    return this.#changed(await requestMove(this.#deps, actor, instanceId, request));
  }

  assignment(actor: Actor, instanceId: string): AssignmentView {
    const bot = this.#find(actor, instanceId);
    const { state } = this.#view(bot);
    const mode = modeOf(bot);
    return {
      instanceId,
      isPooled: mode === 'pooled',
      mode,
      legacy: bot.legacy,
      state,
      desired: bot.desired,
      connection: this.#connection(bot),
    };
  }

  async serviceLog(container: string, service: string, offset: number, length: number): Promise<LogChunk> {
    return (await this.#reconciler.agents.get(container)).serviceLog(service, offset, length);
  }

  async log(actor: Actor, instanceId: string, offset: number, length: number): ReturnType<PoolApi['log']> {
    const { placement } = this.#find(actor, instanceId);
    if (placement === null)
      throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} has no container yet, so no log`);
    try {
      return await (await this.#reconciler.agents.get(placement.container)).log(instanceId, offset, length);
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND'))
        throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} has not been started yet, so no log`);
      throw new BunkhouseError('BOT_UNAVAILABLE', `the log of ${instanceId} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  isPublic(instanceId: string): boolean {
    const bot = this.#deps.store.current().bots.get(instanceId);
    return bot !== undefined && isOpenToAll(bot, this.#deps.templates.get(bot.template));
  }

  async prove(instanceId: string, life: string): Promise<void> {
    await this.#lives.prove(findBot(this.#deps.store.current(), instanceId), life);
  }

  untilRouted(instanceId: string, signal: AbortSignal): Promise<boolean> {
    return this.#lives.untilRunning(() => this.#deps.store.current().bots.get(instanceId), signal);
  }

  isMoving(instanceId: string): boolean {
    return (this.#deps.store.current().bots.get(instanceId)?.move ?? null) !== null;
  }

  route(actor: Actor | null, instanceId: string): RouteTarget {
    if (actor === null && !this.isPublic(instanceId))
      throw new BunkhouseError('UNAUTHORIZED', 'This bot is reached with a token only.');
    const bot = this.#find(actor ?? ANYBODY, instanceId);
    const template = this.#deps.templates.get(bot.template);
    const { state = 'pending', reason = '', observed = null } = this.#reconciler.states.get(instanceId) ?? {};
    // It may still be seen running, but what it answers while it ends is of no use.
    if (isHeldStill(bot.move))
      throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} is being moved`, { retryAfterSeconds: 2 });
    if (state !== 'running' || template === undefined) {
      const why = reason === '' ? '' : `: ${reason}`;
      throw new BunkhouseError('BOT_UNAVAILABLE', `${instanceId} is ${state}${why}`, { retryAfterSeconds: 2 });
    }
    const address = this.#reconciler.addressOf(instanceId);
    const values = valuesOf(bot, address.port, this.#deps.limits.bindHost(bot.location));
    return {
      ...address,
      location: bot.location,
      life: lifeOf(bot.placement?.container ?? '', observed),
      headers: renderRecord(template.proxy.headers, values),
      query: renderRecord(template.proxy.query, values),
    };
  }

  locations(): readonly LocationView[] {
    return locationViews(this.#reconciler.world(), this.#deps.locations);
  }

  poolStatus(): PoolStatus {
    const world = this.#reconciler.world();
    const { states, lastSweep } = this.#reconciler;
    const pools = containerViews(world, states, this.#deps.at);
    return {
      poolMode: this.#deps.limits.poolMode,
      locations: locationViews(world, this.#deps.locations),
      totalPools: pools.length,
      totalBots: world.state.bots.size,
      pools,
      memory: sumMemory(pools.map(({ memory }) => memory)),
      onePerContainer: onePerContainer(world, this.#deps.alone.all),
      health: healthSummary(world, states, lastSweep === null ? null : isoTime(lastSweep)),
    };
  }

  healthCheck(): Promise<SweepReport> {
    return sweep(this.#deps, this.#reconciler);
  }

  cleanup(dryRun: boolean): ReturnType<PoolApi['cleanup']> {
    return cleanup(this.#deps, this.#reconciler, dryRun);
  }

  async plan(): Promise<PlanView> {
    const { steps, held } = await preview(this.#deps, this.#reconciler);
    return {
      steps: steps.map((step) => ({ kind: step.kind, target: stepTarget(step), sentence: explainStep(step) })),
      held,
    };
  }

  events(actor: Actor, lastId: number | null, signal: AbortSignal): ReturnType<PoolApi['events']> {
    const owner = actor.role === 'owner' ? actor.owner : null;
    return this.#deps.events.subscribe({ lastId, signal, owner });
  }

  ready(): { ready: boolean; reason: string } {
    const { listing } = this.#reconciler.world();
    if (listing.kind === 'unknown') return { ready: false, reason: listing.reason };
    return this.#reconciler.passes > 0
      ? { ready: true, reason: '' }
      : { ready: false, reason: 'the first pass is under way' };
  }

  // Private

  #find(actor: Actor, instanceId: string): BotRecord {
    return visibleBot(this.#deps.store.current(), actor, instanceId);
  }

  #view(bot: BotRecord): BotView {
    return botView(bot, this.#reconciler.states, this.#options.addresses);
  }

  #changed(bot: BotRecord): BotView {
    this.#reconciler.request();
    return this.#view(bot);
  }

  #connection(bot: BotRecord): AssignmentView['connection'] {
    if (bot.placement === null) return null;
    const { container, slot, port } = bot.placement;
    const { listing } = this.#reconciler.world();
    const host = listing.kind === 'seen' ? listing.value.get(container)?.host : undefined;
    if (host === undefined) return null;
    const url = botUrl(bot.instanceId, this.#options.addresses);
    return { host, port, url, containerName: container, poolId: poolKey(bot), slot };
  }
}

// Private

/** A visitor of a public bot, who was told from others before. */
const ANYBODY: Actor = { role: 'admin' };

/** What waits in the reserve is nobody's to visit: it must be handed out as it was cleaned. */
function isOpenToAll({ reserve, deleting }: BotRecord, template: Template | undefined): boolean {
  return template?.proxy.public === true && !deleting && (reserve === null || reserve.phase === 'assigned');
}

/** A bot of the reserve is as its template makes it, whoever has it on lease. */
function refuseOfReserve({ instanceId, reserve }: BotRecord): void {
  if (reserve !== null) throw ofReserve(instanceId);
}

function ofReserve(instanceId: string): BunkhouseError {
  const next = 'it can be restarted, and given back by the release of its lease';
  return new BunkhouseError('CONFLICT', `${instanceId} is handed out on lease and is not changed: ${next}`);
}
