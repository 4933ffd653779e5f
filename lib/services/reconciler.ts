import { messageOf } from '../domain/errors.ts';
import type { ReservePlace } from '../domain/lease.ts';
import { isStoreStep, type Step, stepContainer } from '../domain/steps.ts';
import { plan } from '../planner/plan.ts';
import type { World } from '../planner/world.ts';
import type { Address } from '../probes/probe.ts';
import { withDeadline } from '../util/deadline.ts';
import { Listeners } from '../util/listeners.ts';
import { Rush } from '../util/rush.ts';
import { SingleFlight } from '../util/single-flight.ts';
import { SteadyClock } from '../util/steady-clock.ts';
import { Turns } from '../util/turns.ts';
import { botAddress } from './addresses.ts';
import { Agents } from './agents.ts';
import { createApply } from './apply.ts';
import { BlockedPorts } from './blocked-ports.ts';
import { checkTargets } from './check-targets.ts';
import type { Dependencies } from './dependencies.ts';
import { Doors } from './doors.ts';
import { HoldBacks } from './hold-backs.ts';
import { Lanes } from './lanes.ts';
import { latestMoment } from './lease-changes.ts';
import { Losses } from './losses.ts';
import { nextLook } from './next-look.ts';
import { Observer } from './observe.ts';
import { PoolHealthMonitor } from './pool-health-monitor.ts';
import { ReserveTargets } from './reserve-targets.ts';
import { StateTracker } from './state-tracker.ts';
import { createWatchers, type Watchers } from './watchers.ts';

/** How long closing waits for steps under way. What is broken off then is taken up by the next supervisor. */
const CLOSING_MS = 15_000;

const LONGEST_REST_MS = 100;

const NONE_SHUT: ReadonlyMap<string, string> = new Map();

export interface Admission {
  readonly place: ReservePlace;
  readonly bot: string;
}

/**
 * The one door: observe, plan, apply. Requests fold into one pass; a pass is short, because work that takes time goes on
 * in lanes beside it and asks for another pass when it is done.
 */
export class Reconciler {
  readonly agents: Agents;
  readonly monitor: PoolHealthMonitor;
  readonly states: StateTracker;
  /** Leases end by it. */
  readonly leaseClock: SteadyClock;
  /** Those who wait for a lease. */
  readonly rush: Rush;
  readonly #deps: Dependencies;
  readonly #observer: Observer;
  readonly #watchers: Watchers;
  readonly #lanes: Lanes;
  readonly #flight = new SingleFlight(
    () => this.#pass(),
    () => this.#rest(),
  );
  readonly #abort = new AbortController();
  readonly #blockedPorts: BlockedPorts;
  readonly #losses: Losses;
  readonly #steps: Listeners<Step>;
  readonly #pictures: Listeners<World>;
  readonly #reserves: ReserveTargets;
  readonly #admissions: Listeners<Admission>;
  readonly #doors: Doors | null;
  readonly #holdBacks: HoldBacks;
  #dirty: 'all' | Set<string> = 'all';
  #cancelWake: () => void = () => {};
  #passes = 0;
  #lastPassMs = 0;
  #lastPassAt = 0;
  #lastSweep: number | null = null;

  constructor(deps: Dependencies) {
    this.#deps = deps;
    this.agents = new Agents(deps.driver);
    this.rush = new Rush(deps.clock);
    this.states = new StateTracker(deps.events);
    this.leaseClock = new SteadyClock(deps.clock, latestMoment(deps.store.current()));
    this.#reserves = new ReserveTargets({ ...deps, settings: deps.reserve });
    const onError = (error: unknown): void => deps.log.error({ err: error }, 'somebody who listens failed');
    this.#steps = new Listeners(onError);
    this.#pictures = new Listeners(onError);
    this.#admissions = new Listeners(onError);
    this.#doors = deps.door && new Doors({ ...deps, ...deps.door, request: () => this.request() });
    this.#holdBacks = new HoldBacks({
      ...deps,
      addressOf: (bot) => this.addressOf(bot),
      request: () => this.request(),
    });
    this.#blockedPorts = new BlockedPorts(deps.clock);
    this.#losses = new Losses(deps.events);
    this.#observer = new Observer(deps.driver, this.agents, deps.clock, () => this.request());
    this.monitor = new PoolHealthMonitor(deps, () => this.request());
    this.#watchers = createWatchers(this.agents, deps.clock, deps.random, deps.log, (name) => this.request(name));
    const apply = createApply({
      ...deps,
      agents: this.agents,
      blockPorts: (ports) => this.#blockedPorts.block(ports),
      noteRestart: (bot) => this.#noteRestart(bot),
      addressOf: (bot) => this.addressOf(bot),
      leaseClock: this.leaseClock,
      rush: this.rush,
      reserves: this.#reserves,
      noteReady: (place, bot) => this.#admissions.tell({ place, bot }),
    });
    this.#lanes = new Lanes(deps, apply, (step) => this.request(stepContainer(step, deps.store.current().bots)));
  }

  /** Does the first pass, then follows events and sweeps every `intervalMs`. Resolves after the first pass. */
  async start(intervalMs: number): Promise<void> {
    this.#deps.driver.watch((event) => this.request(event.container), this.#abort.signal);
    await this.pass('all');
    void this.#sweepForEver(intervalMs);
  }

  /** Asks for a pass that looks at this container again ('all': at every one; null: at what is known). */
  request(container: string | 'all' | null = null): void {
    void this.pass(container).catch((error: unknown) => this.#deps.log.error({ err: error }, 'a pass failed'));
  }

  /** As `request`, and resolves when that pass is done. Steps it began may still be under way. */
  async pass(container: string | 'all' | null = null): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#mark(container);
    await this.#flight.run();
  }

  /** Resolves when no pass and no step is under way or due at once. */
  async settled(): Promise<void> {
    do {
      await this.#flight.idle();
      if (this.#lanes.busy.size > 0) await this.#deps.clock.sleep(5);
    } while (this.#lanes.busy.size > 0 || this.#flight.active);
  }

  /** How many passes were done with the driver answering. */
  get passes(): number {
    return this.#passes;
  }

  /** When the last pass ended, by the monotonic clock. */
  get lastPassAt(): number {
    return this.#lastPassAt;
  }

  /** When everything was last looked at, ms since the epoch; null before the first time. */
  get lastSweep(): number | null {
    return this.#lastSweep;
  }

  world(): World {
    const { clock, store, templates, limits } = this.#deps;
    const state = store.current();
    const reserves = this.#reserves;
    const doors = this.#doors;
    return {
      now: clock.now(),
      monotonic: clock.monotonic(),
      state,
      templates,
      limits,
      listing: this.#observer.listing,
      unreachable: this.#deps.unreachable(),
      agents: this.#observer.agents,
      health: this.monitor.health,
      blockedPorts: this.#blockedPorts.now(),
      busy: this.#lanes.busy,
      holds: this.#lanes.holds,
      failures: this.#lanes.holds,
      restartHolds: this.monitor.restartHolds,
      // Only when asked for: it means a look at every bot, and most who want the world ask about one.
      get reserves() {
        return reserves.now(state);
      },
      get shut() {
        return doors?.shut(state) ?? NONE_SHUT;
      },
      holdBacks: this.#holdBacks.answers,
      leaseClock: this.leaseClock.now(),
    };
  }

  /** Calls back for every step begun, until the returned function is called. */
  onStep(listener: (step: Step) => void): () => void {
    return this.#steps.add(listener);
  }

  /** Calls back with every picture in which the containers could be listed, until the returned function is called. */
  onPicture(listener: (world: World) => void): () => void {
    return this.#pictures.add(listener);
  }

  /** Calls back for every bot that may be handed out from now on, until the returned function is called. */
  onReady(listener: (admission: Admission) => void): () => void {
    return this.#admissions.add(listener);
  }

  /** Where a bot's port is reached now. Throws BOT_UNAVAILABLE. */
  addressOf(instanceId: string): Address {
    return botAddress({ state: this.#deps.store.current(), listing: this.#observer.listing }, instanceId);
  }

  /** Ends passes, steps and watching. Containers and bots go on. */
  async close(): Promise<void> {
    this.#abort.abort();
    const { clock, log } = this.#deps;
    const ended = withDeadline(clock, CLOSING_MS, 'the steps under way', this.#lanes.close()).catch((error: unknown) =>
      log.warn({}, `closing goes on: ${messageOf(error)}`),
    );
    await this.#flight.idle();
    this.#cancelWake();
    await this.monitor.close();
    await this.#watchers.close();
    await this.#doors?.close();
    this.#holdBacks.close();
    await this.agents.close();
    await ended;
  }

  // Private

  async #pass(): Promise<void> {
    const scope = this.#dirty;
    this.#dirty = new Set();
    const began = this.#deps.clock.monotonic();
    const busyBefore = [...this.#lanes.busy];
    await this.#observer.refresh(scope);
    if (this.#abort.signal.aborted) return;
    const looked = this.#deps.clock.monotonic();
    const turns = new Turns(this.#deps.clock);
    this.#follow(this.world());
    await turns.share();
    const world = this.world();
    const isKept = this.#isKept();
    // What a step did that ended since may not be in this picture; it has asked for the next pass.
    const { steps } = plan({ ...world, busy: new Set([...busyBefore, ...world.busy]) });
    if (world.listing.kind === 'seen') this.#lanes.settle(steps, world.monotonic);
    await turns.share();
    this.states.update(world);
    await turns.share();
    if (world.listing.kind === 'seen') this.#pictures.tell(world);
    await turns.share();
    await this.#dispatch(steps, isKept);
    this.#scheduleWake(world, looked);
    this.#lastPassAt = this.#deps.clock.monotonic();
    this.#lastPassMs = this.#lastPassAt - began;
    if (world.listing.kind === 'unknown') return;
    this.#passes += 1;
    if (scope === 'all') this.#lastSweep = this.#deps.clock.now();
  }

  /** When many bots change, passes take a fifth of the time: requests must be answered in between. */
  #rest(): Promise<void> | null {
    const { clock } = this.#deps;
    const left = this.#lastPassAt + Math.min(4 * this.#lastPassMs, LONGEST_REST_MS) - clock.monotonic();
    return left < 1 ? null : clock.sleep(left, this.#abort.signal);
  }

  /**
   * Store steps first, in order, because the others build on them; then everything else, side by side. Nothing is done that
   * was planned from changes which then are not kept: a container would know a generation that means something else later.
   */
  async #dispatch(steps: readonly Step[], isKept: Promise<boolean>): Promise<void> {
    const quick = steps.filter(isStoreStep);
    const slow = steps.filter((step) => !isStoreStep(step));
    for (const step of quick) this.#steps.tell(step);
    for (const step of quick.filter(({ kind }) => kind === 'recordContainer')) await this.#lanes.perform(step);
    const rest = quick.filter(({ kind }) => kind !== 'recordContainer').filter((step) => this.#isPossible(step));
    await Promise.all(rest.map((step) => this.#lanes.perform(step)));
    const isSafe = slow.length === 0 || (await isKept);
    for (const step of isSafe ? slow : []) {
      this.#steps.tell(step);
      this.#lanes.start(step);
    }
    if (quick.length > 0 || !isSafe) this.request();
  }

  /** Whether all changes that the store has now are kept. */
  #isKept(): Promise<boolean> {
    return this.#deps.store.settled().then(
      () => true,
      () => false,
    );
  }

  /** A claim in a container that could not be recorded (its ports were taken) is planned anew. */
  #isPossible(step: Step): boolean {
    if (step.kind !== 'assign' && step.kind !== 'claimPlace') return true;
    return step.placement.container in this.#deps.store.current().containers;
  }

  #follow(world: World): void {
    const { listing, agents, state } = world;
    this.#losses.update(world);
    if (listing.kind === 'unknown') return;
    this.#watchers.sync(new Set(agents.keys()));
    this.#doors?.follow(state);
    this.#holdBacks.follow(world);
    this.monitor.forget((bot) => state.bots.has(bot));
    this.monitor.track(
      checkTargets(world),
      (bot) => agents.get(state.bots.get(bot)?.placement?.container ?? '')?.kind === 'unknown',
    );
  }

  /** From the moment of the plan on: what came due while its steps were done must not be slept through. */
  #scheduleWake({ monotonic, leaseClock }: World, looked: number): void {
    this.#cancelWake();
    const { clock } = this.#deps;
    const next = nextLook({ ...this.world(), monotonic, leaseClock });
    if (next === null) return;
    const inMs = Math.max(0, next.inMs - (clock.monotonic() - looked));
    this.#cancelWake = clock.after(inMs, () => this.request(next.scope));
  }

  async #sweepForEver(intervalMs: number): Promise<void> {
    const { clock, log } = this.#deps;
    while (!this.#abort.signal.aborted) {
      await clock.sleep(intervalMs, this.#abort.signal);
      await this.pass('all').catch((error: unknown) => log.error({ err: error }, 'a sweep failed'));
    }
  }

  #mark(container: string | 'all' | null): void {
    if (container === 'all') this.#dirty = 'all';
    else if (container !== null && this.#dirty !== 'all') this.#dirty.add(container);
  }

  #noteRestart(bot: string): void {
    const template = this.#deps.templates.get(this.#deps.store.current().bots.get(bot)?.template ?? '');
    if (template !== undefined) this.monitor.noteRestart(bot, template.backoff);
  }
}
