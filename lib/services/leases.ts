import { BunkhouseError, hasCode } from '../domain/errors.ts';
import type { LeaseRecord } from '../domain/lease.ts';
import type { Actor } from '../domain/state.ts';
import type { LeaseRule, Template } from '../domain/template.ts';
import { readyBots } from '../planner/reserve.ts';
import type { World } from '../planner/world.ts';
import { newBot } from './bots.ts';
import type { Dependencies } from './dependencies.ts';
import type { AcquireLease, LeaseApi, LeaseTick, LeaseView, ReserveStatus } from './lease-api.ts';
import { type Acquisition, endLease, extendLease, findLease, leaseNew, leaseReady } from './lease-changes.ts';
import type { PoolOptions } from './pool-api.ts';
import type { Reconciler } from './reconciler.ts';

export interface LeaseOptions extends PoolOptions {
  /** Leases of one owner; null: any number. */
  readonly hourly: number | null;
  readonly daily: number | null;
}

const TICK_MS = 1000;

/** Hands bots out for a time. Who comes first is decided in memory, in one step; it is durable before it is answered. */
export class Leases implements LeaseApi {
  readonly #deps: Dependencies;
  readonly #reconciler: Reconciler;
  readonly #options: LeaseOptions;
  readonly #newId: () => string;
  /** Ready bots by template, as the last pass saw them; one that is taken out is nobody else's to take. */
  #queues: ReadonlyMap<string, string[]> = new Map();
  readonly #acquired = new Map<string, { all: number; fromPool: number }>();

  constructor(deps: Dependencies, reconciler: Reconciler, options: LeaseOptions, newId: () => string) {
    this.#deps = deps;
    this.#reconciler = reconciler;
    this.#options = options;
    this.#newId = newId;
    reconciler.onPicture((world) => this.#refresh(world));
  }

  async acquire(actor: Actor, request: AcquireLease): Promise<LeaseView> {
    const template = this.#leasable(request.template ?? this.#options.defaultTemplate);
    const wish = this.#wish(actor, request, template);
    const lease = (await this.#takeReady(template.name, wish)) ?? (await this.#makeNew(template, wish));
    this.#count(template.name, lease.fromPool);
    const { id, bot, owner, expiresAt, fromPool, fence } = lease;
    this.#deps.events.emit({ type: 'lease.acquired', lease: id, bot, expiresAt, fromPool, fence }, owner);
    this.#reconciler.request();
    return this.#view(lease);
  }

  get(actor: Actor, id: string): LeaseView {
    return this.#view(this.#find(actor, id));
  }

  list(actor: Actor): readonly LeaseView[] {
    return Object.values(this.#deps.store.current().leases)
      .filter((lease) => lease.end === null && isVisible(actor, lease))
      .sort((a, b) => a.expiresAt.localeCompare(b.expiresAt))
      .map((lease) => this.#view(lease));
  }

  async extend(actor: Actor, id: string, seconds: number): Promise<LeaseView> {
    const { template, owner } = this.#find(actor, id);
    const { maxTtlSeconds } = this.#leasable(template).lease;
    const lease = await this.#deps.store.update(extendLease(id, seconds, maxTtlSeconds));
    this.#deps.events.emit({ type: 'lease.extended', lease: id, bot: lease.bot, expiresAt: lease.expiresAt }, owner);
    this.#reconciler.request();
    return this.#view(lease);
  }

  async release(actor: Actor, id: string): Promise<LeaseView> {
    const before = this.#find(actor, id);
    const lease = await this.#deps.store.update(endLease(id, 'released', this.#now()));
    if (before.end === null) {
      this.#deps.events.emit({ type: 'lease.ended', lease: id, bot: lease.bot, how: 'released' }, lease.owner);
      this.#reconciler.request();
    }
    return this.#view(lease);
  }

  async *countdown(actor: Actor, id: string, signal: AbortSignal): AsyncGenerator<LeaseTick> {
    for (;;) {
      const { end, ttlSeconds, expiresAt } = this.get(actor, id);
      if (end !== null) {
        yield { type: 'expired', how: end.how };
        return;
      }
      yield { type: 'ttl', ttlSeconds, expiresAt };
      await this.#deps.clock.sleep(TICK_MS, signal);
      if (signal.aborted) {
        yield { type: 'reconnect' };
        return;
      }
    }
  }

  status(): readonly ReserveStatus[] {
    const world = this.#reconciler.world();
    const bots = Object.values(world.state.bots).filter((bot) => bot.reserve !== null && !bot.deleting);
    return [...world.reserves].map(([template, reserve]) => {
      const mine = bots.filter((bot) => bot.template === template);
      const inPhase = (...phases: string[]): number =>
        mine.filter((bot) => phases.includes(bot.reserve?.phase ?? '')).length;
      const acquired = this.#acquired.get(template) ?? { all: 0, fromPool: 0 };
      return {
        template,
        location: this.#options.location,
        target: reserve.target,
        minSize: reserve.min,
        ready: inPhase('ready'),
        warming: inPhase('warming'),
        assigned: inPhase('assigned'),
        resetting: inPhase('expired', 'resetting'),
        isRefilling: reserve.refilling,
        acquired: acquired.all,
        fromPool: acquired.fromPool,
      };
    });
  }

  // Private

  #refresh(world: World): void {
    this.#queues = new Map([...world.reserves.keys()].map((template) => [template, readyBots(world, template)]));
  }

  /** Null when none is ready. What another change has taken meanwhile is passed over. */
  async #takeReady(template: string, wish: Acquisition): Promise<LeaseRecord | null> {
    const queue = this.#queueOf(template);
    for (let bot = queue.shift(); bot !== undefined; bot = queue.shift()) {
      try {
        return await this.#deps.store.update(leaseReady(bot, wish));
      } catch (error) {
        if (hasCode(error, 'CONFLICT') || hasCode(error, 'NOT_FOUND')) continue;
        queue.unshift(bot);
        throw error;
      }
    }
    return null;
  }

  /** An empty one may only be late: what was admitted since the last pass is looked for. */
  #queueOf(template: string): string[] {
    const queue = this.#queues.get(template) ?? [];
    if (queue.length === 0) queue.push(...readyBots(this.#reconciler.world(), template));
    return queue;
  }

  async #makeNew(template: Template & { readonly lease: LeaseRule }, wish: Acquisition): Promise<LeaseRecord> {
    const world = this.#reconciler.world();
    const mine = Object.values(world.state.bots).filter(
      (bot) => bot.template === template.name && bot.reserve !== null,
    );
    const most = world.reserves.get(template.name)?.max ?? 0;
    if (mine.length >= most) throw this.#exhausted(template.name, most);
    const instanceId = `${template.name}-${this.#newId().slice(0, 8)}`;
    const bot = newBot(
      { ...this.#deps, ...this.#options },
      { role: 'admin' },
      { instanceId, template: template.name, owner: wish.owner },
    );
    return this.#deps.store.update(leaseNew(bot, wish));
  }

  #exhausted(template: string, most: number): BunkhouseError {
    const ends = Object.values(this.#deps.store.current().leases)
      .filter((lease) => lease.template === template && lease.end === null)
      .map((lease) => Date.parse(lease.expiresAt));
    const retryAfterSeconds = Math.max(1, Math.ceil((Math.min(...ends, this.#now() + 60_000) - this.#now()) / 1000));
    const message = `all ${most} bots of template ${template} are taken; try again in ${retryAfterSeconds} s`;
    return new BunkhouseError('POOL_EXHAUSTED', message, { retryAfterSeconds });
  }

  #wish(actor: Actor, request: AcquireLease, template: Template & { readonly lease: LeaseRule }): Acquisition {
    const { lease } = template;
    const { location = this.#options.location, ttlSeconds = lease.ttlSeconds } = request;
    if (location !== this.#options.location)
      throw new BunkhouseError('INVALID', `there is no location ${location}; known: ${this.#options.location}`);
    if (ttlSeconds > lease.maxTtlSeconds)
      throw new BunkhouseError('INVALID', `ttlSeconds must be ${lease.maxTtlSeconds} or less for ${template.name}`);
    const { hourly, daily } = this.#options;
    return {
      id: this.#newId(),
      template: template.name,
      location,
      owner: ownerOf(actor, request),
      ttlSeconds,
      now: this.#now(),
      limits: { perOwner: lease.perOwner, hourly, daily },
    };
  }

  #leasable(name: string): Template & { readonly lease: LeaseRule } {
    const template = this.#deps.templates.get(name);
    if (template?.lease != null) return { ...template, lease: template.lease };
    const known = [...this.#deps.templates.values()].filter(({ lease }) => lease !== null).map((other) => other.name);
    throw new BunkhouseError(
      'INVALID',
      `bots of template ${name} are not handed out on lease; those of ${known.join(', ') || 'no template'} are`,
    );
  }

  #find(actor: Actor, id: string): LeaseRecord {
    const lease = findLease(this.#deps.store.current(), id);
    if (!isVisible(actor, lease)) throw new BunkhouseError('NOT_FOUND', `there is no lease ${id}`);
    return lease;
  }

  #view(lease: LeaseRecord): LeaseView {
    const { id, bot, owner, template, location, createdAt, expiresAt, fromPool, fence, end } = lease;
    const leftMs = end === null ? Math.max(0, Date.parse(expiresAt) - this.#now()) : 0;
    return {
      id,
      instanceId: bot,
      owner,
      template,
      location,
      url: `/bots/${bot}/`,
      createdAt,
      expiresAt,
      ttlSeconds: Math.ceil(leftMs / 1000),
      fromPool,
      fence,
      end,
    };
  }

  #now(): number {
    return this.#reconciler.leaseClock();
  }

  #count(template: string, fromPool: boolean): void {
    const before = this.#acquired.get(template) ?? { all: 0, fromPool: 0 };
    this.#acquired.set(template, { all: before.all + 1, fromPool: before.fromPool + (fromPool ? 1 : 0) });
  }
}

function ownerOf(actor: Actor, request: AcquireLease): string {
  if (actor.role === 'admin') return request.owner ?? 'admin';
  if (request.owner !== undefined && request.owner !== actor.owner)
    throw new BunkhouseError('FORBIDDEN', 'an owner can only acquire leases of its own');
  return actor.owner;
}

function isVisible(actor: Actor, lease: LeaseRecord): boolean {
  return actor.role === 'admin' || lease.owner === actor.owner;
}
