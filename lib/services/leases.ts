import { createHash } from 'node:crypto';
import { BunkhouseError, hasCode } from '../domain/errors.ts';
import { botUrl } from '../domain/hosts.ts';
import { type LeaseRecord, reserveKey } from '../domain/lease.ts';
import { chooseLocation } from '../domain/location.ts';
import type { Actor } from '../domain/state.ts';
import type { LeaseRule, Template } from '../domain/template.ts';
import { isFit } from '../planner/reserve.ts';
import { renderRecord, valuesOf } from '../planner/values.ts';
import { KeyedMutex } from '../util/keyed-mutex.ts';
import { newBot } from './bots.ts';
import type { Dependencies } from './dependencies.ts';
import type { AcquireLease, LeaseApi, LeaseTick, LeaseView, ReserveStatus, WaitingBot } from './lease-api.ts';
import { type Acquisition, endLease, extendLease, findLease, leaseNew, leaseReady } from './lease-changes.ts';
import { LeaseTeller } from './lease-teller.ts';
import { placesToTake, placeToMake } from './places.ts';
import type { PoolOptions } from './pool-api.ts';
import { ReadyBots } from './ready-bots.ts';
import type { Reconciler } from './reconciler.ts';
import { type Acquired, NONE_ACQUIRED, reserveStatus, waitingBots } from './reserve-status.ts';
import { warmId } from './reserve-steps.ts';

export interface LeaseOptions extends PoolOptions {
  /** Leases of one owner; null: any number. */
  readonly hourly: number | null;
  readonly daily: number | null;
  /** Told of every lease, and how long it took until it was durable. */
  readonly onAcquired: (lease: { template: string; fromPool: boolean; seconds: number }) => void;
}

type Leasable = Template & { readonly lease: LeaseRule };

const TICK_MS = 1000;

/** Hands bots out for a time. Who comes first is decided in memory, in one step; it is durable before it is answered. */
export class Leases implements LeaseApi {
  readonly #deps: Dependencies;
  readonly #reconciler: Reconciler;
  readonly #options: LeaseOptions;
  readonly #ready = new ReadyBots();
  /** By lease: two who ask under the same key at the same time must not both look for a bot. */
  readonly #mutex = new KeyedMutex();
  readonly #acquired = new Map<string, Acquired>();
  readonly #teller: LeaseTeller;

  constructor(deps: Dependencies, reconciler: Reconciler, options: LeaseOptions) {
    this.#deps = deps;
    this.#reconciler = reconciler;
    this.#options = options;
    this.#teller = new LeaseTeller(deps.clock, reconciler.rush, () => reconciler.request());
    reconciler.onPicture((world) => this.#ready.refresh(world));
    reconciler.onReady((admission) => this.#ready.add(admission));
  }

  async acquire(actor: Actor, request: AcquireLease, key: string | null): Promise<LeaseView> {
    const began = this.#deps.clock.monotonic();
    const template = this.#leasable(request.template ?? this.#options.defaultTemplate);
    const wish = this.#wish(actor, request, template, key);
    const granted = async () => (await this.#granted(wish)) ?? (await this.#grant(template, wish, began));
    const lease = await this.#reconciler.rush.for(this.#mutex.run(wish.id, granted));
    if (request.waitSeconds !== undefined) await this.#untilRunning(lease, request.waitSeconds);
    return this.get(actor, lease.id);
  }

  get(actor: Actor, id: string): LeaseView {
    return this.#view(this.#find(actor, id));
  }

  list(actor: Actor): readonly LeaseView[] {
    return this.#deps.store
      .current()
      .leases.records.filter((lease) => lease.end === null && isVisible(actor, lease))
      .sort((a, b) => (a.expiresAt < b.expiresAt ? -1 : 1))
      .map((lease) => ({ ...this.#view(lease), access: null }));
  }

  async extend(actor: Actor, id: string, seconds: number): Promise<LeaseView> {
    const { template } = this.#find(actor, id);
    const { maxTtlSeconds } = this.#leasable(template).lease;
    const lease = await this.#deps.store.update(extendLease(id, seconds, maxTtlSeconds, this.#now()));
    const { bot, owner, expiresAt } = lease;
    this.#deps.events.emit({ type: 'lease.extended', lease: id, bot, expiresAt }, owner);
    this.#reconciler.request();
    return this.#view(lease);
  }

  async release(actor: Actor, id: string): Promise<LeaseView> {
    this.#find(actor, id);
    const ended = await this.#deps.store.update(endLease(id, 'released', this.#now()));
    if (ended !== null) {
      const { bot, template, owner } = ended;
      this.#deps.events.emit({ type: 'lease.ended', lease: id, bot, template, how: 'released' }, owner);
      this.#reconciler.request();
    }
    return this.get(actor, id);
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

  waiting(template: string): readonly WaitingBot[] {
    return waitingBots(this.#deps.store.current(), template, this.#options.addresses);
  }

  reserves(): readonly ReserveStatus[] {
    return reserveStatus(this.#reconciler.world(), this.#acquired);
  }

  // Private

  /** The lease that the same key got before, also before a restart of the supervisor; durable. */
  #granted({ id }: Acquisition): Promise<LeaseRecord | null> {
    const { store } = this.#deps;
    if (!store.current().leases.has(id)) return Promise.resolve(null);
    return store.update((state) => ({ state, result: state.leases.get(id) ?? null }));
  }

  async #grant(template: Leasable, wish: Acquisition, began: number): Promise<LeaseRecord> {
    const lease = (await this.#takeReady(wish)) ?? (await this.#makeNew(template, wish));
    const { id, bot, owner, expiresAt, fromPool, fence } = lease;
    const key = reserveKey(lease);
    const { all, fromPool: hits } = this.#acquired.get(key) ?? NONE_ACQUIRED;
    this.#acquired.set(key, { all: all + 1, fromPool: hits + (fromPool ? 1 : 0) });
    const seconds = (this.#deps.clock.monotonic() - began) / 1000;
    this.#options.onAcquired({ template: template.name, fromPool, seconds });
    const facts = { lease: id, bot, template: template.name, location: lease.location, expiresAt, fromPool, fence };
    this.#deps.events.emit({ type: 'lease.acquired', ...facts }, owner);
    if (fromPool) this.#teller.soon();
    else this.#deps.clock.after(0, () => this.#reconciler.request());
    return lease;
  }

  /** Null when none is ready. What another change has taken meanwhile is passed over. */
  async #takeReady(wish: Acquisition): Promise<LeaseRecord | null> {
    for (const location of placesToTake(this.#deps.locations, wish.location)) {
      const lease = await this.#takeReadyIn(location, wish);
      if (lease !== null) return lease;
    }
    return null;
  }

  async #takeReadyIn(location: string, wish: Acquisition): Promise<LeaseRecord | null> {
    const place = { template: wish.template, location };
    const take = (): string | undefined =>
      this.#ready.take(place, (bot) => this.#isFit(bot) && !this.#isStale(bot)) ??
      this.#ready.take(place, (bot) => this.#isFit(bot));
    for (let bot = take(); bot !== undefined; bot = take()) {
      try {
        return await this.#deps.store.update(leaseReady(bot, wish));
      } catch (error) {
        if (hasCode(error, 'CONFLICT') || hasCode(error, 'NOT_FOUND')) continue;
        this.#ready.putBack(place, bot);
        throw error;
      }
    }
    return null;
  }

  #makeNew(template: Leasable, wish: Acquisition): Promise<LeaseRecord> {
    const { store, reserve } = this.#deps;
    const instanceId = warmId(template.name, this.#deps.newId());
    const location = placeToMake(this.#deps, wish.location);
    const request = { instanceId, template: template.name, location, owner: wish.owner };
    const bot = newBot({ ...this.#deps, ...this.#options }, { role: 'admin' }, request);
    return store.update(leaseNew(bot, wish, reserve.max));
  }

  #wish(actor: Actor, request: AcquireLease, template: Leasable, key: string | null): Acquisition {
    const { lease } = template;
    const { hourly, daily } = this.#options;
    const { ttlSeconds = lease.ttlSeconds } = request;
    const location = request.location === undefined ? null : chooseLocation(this.#deps.locations, request.location);
    if (ttlSeconds > lease.maxTtlSeconds)
      throw new BunkhouseError('INVALID', `ttlSeconds must be ${lease.maxTtlSeconds} or less for ${template.name}`);
    return {
      id: key === null ? this.#deps.newId() : idOf(actor, key),
      template: template.name,
      location,
      owner: ownerOf(actor, request),
      ttlSeconds,
      now: this.#now(),
      limits: { perOwner: lease.perOwner, hourly, daily },
    };
  }

  #leasable(name: string): Leasable {
    const template = this.#deps.templates.get(name);
    if (template?.lease != null) return template as Leasable;
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
      url: botUrl(bot, this.#options.addresses),
      state: end === null ? this.#stateOf(bot) : null,
      createdAt,
      expiresAt,
      ttlSeconds: Math.ceil(leftMs / 1000),
      fromPool,
      fence,
      access: end === null ? this.#accessOf(lease) : null,
      end,
    };
  }

  /** Null while a secret is missing that its template has got since the lease began. */
  #accessOf({ bot, template }: LeaseRecord): LeaseView['access'] {
    const record = this.#deps.store.current().bots.get(bot);
    const rule = this.#deps.templates.get(template)?.lease ?? null;
    if (record === undefined || rule === null) return null;
    try {
      const host = this.#deps.limits.bindHost(record.location);
      return renderRecord(rule.access, valuesOf(record, record.placement?.port ?? 0, host));
    } catch (error) {
      if (hasCode(error, 'INVALID')) return null;
      throw error;
    }
  }

  #isFit(bot: string): boolean {
    const record = this.#deps.store.current().bots.get(bot);
    const seen = this.#reconciler.states.get(bot);
    return record !== undefined && seen !== null && isFit(record, seen);
  }

  /** Its container is being emptied: it would have to move at once. */
  #isStale(bot: string): boolean {
    const { bots, containers } = this.#deps.store.current();
    const emptying = containers[bots.get(bot)?.placement?.container ?? '']?.emptying ?? null;
    return emptying !== null;
  }

  #stateOf(bot: string): NonNullable<LeaseView['state']> {
    return this.#reconciler.states.get(bot)?.state ?? 'pending';
  }

  /** Resolves when its bot runs and is reached by its host name, if it has one, when it ends, or when the time is over. */
  #untilRunning({ id, bot }: LeaseRecord, seconds: number): Promise<void> {
    const { clock, store } = this.#deps;
    const done = new AbortController();
    const look = (): void => {
      const ended = store.current().leases.get(id)?.end !== null;
      if (ended || (this.#stateOf(bot) === 'running' && !this.#reconciler.world().shut.has(bot))) done.abort();
    };
    const stop = this.#reconciler.onPicture(look);
    look();
    return clock.sleep(seconds * 1000, done.signal).finally(stop);
  }

  #now(): number {
    return this.#reconciler.leaseClock.now();
  }
}

/** The same key of the same caller is the same lease. */
function idOf(actor: Actor, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([actor, key]))
    .digest('hex')
    .slice(0, 32);
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
