import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BotSpec } from '../../lib/domain/agent.ts';
import type { BotRecord, Desired } from '../../lib/domain/bot.ts';
import type { ContainerRecord } from '../../lib/domain/container.ts';
import { type Step, stepLane } from '../../lib/domain/steps.ts';
import { plan } from '../../lib/planner/plan.ts';
import type { Failure, World } from '../../lib/planner/world.ts';
import {
  addBot,
  addContainer,
  assignBot,
  enterContainer,
  forgetBot,
  forgetContainer,
  markDeleting,
  markRemoving,
  noteOnBot,
  setDesired,
} from '../../lib/services/bot-container-mapper.ts';
import { fallBack, rejoinPool } from '../../lib/services/fallback-changes.ts';
import { aBot, anAgent, aWorld, NOW, observedBot, observedContainer } from './builders.ts';
import { StateModel } from './state-model.ts';

/**
 * A whole system in miniature: the state, and containers that do what the steps say, lose power, fall silent and come
 * back. Steps may be dropped or done twice, as when the orchestrator is killed between plan and apply.
 */
class Model extends StateModel {
  listable = true;
  /** No shared container, or no container of one bot, can be made. */
  readonly broken = new Set<'pooled' | 'legacy'>();
  /** By lane, as often as it failed in a row. */
  readonly failures = new Map<string, Failure>();
  readonly containers = new Map<string, ModelContainer>();
  readonly archives = new Set<string>();

  world(): World {
    const containers = [...this.containers.values()];
    return aWorld({
      state: this.state,
      failures: this.failures,
      holds: new Map([...this.failures.keys()].map((lane) => [lane, { until: NOW, reason: 'broken' }])),
      listing: this.listable
        ? {
            kind: 'seen',
            value: new Map(
              containers.map((box) => [box.record.name, observedContainer(box.record, box.on ? 'running' : 'stopped')]),
            ),
          }
        : { kind: 'unknown', reason: 'no answer' },
      agents: new Map(
        containers
          .filter((box) => box.on)
          .map((box) => [
            box.record.name,
            box.silent ? { kind: 'unknown', reason: 'silent' } : { kind: 'seen', value: box.observe() },
          ]),
      ),
    });
  }

  apply(step: Step): void {
    switch (step.kind) {
      case 'recordContainer':
        this.change(addContainer(step.container));
        return;
      case 'assign':
        this.change(assignBot(step.bot, step.placement));
        return;
      case 'fallBack':
        this.change(fallBack(step.bot, step.why, NOW));
        return;
      case 'rejoinPool':
        this.change(rejoinPool(step.bot));
        return;
      case 'retireContainer':
        this.change(markRemoving(step.container));
        return;
      case 'createContainer': {
        if (this.#fails(step)) return;
        const known = this.containers.get(step.container.name);
        this.containers.set(step.container.name, known ?? new ModelContainer(step.container));
        return;
      }
      case 'startContainer':
        this.containers.get(step.container)?.start();
        return;
      case 'applyBot':
        if (this.change(enterContainer(step.container, step.spec.bot, step.spec.generation)))
          this.containers.get(step.container)?.apply(step.spec);
        return;
      case 'archiveBot':
        this.archive(step.container, step.bot);
        return;
      case 'removeBot':
        if (this.containers.get(step.container)?.remove(step.bot)) this.change(forgetBot(step.bot));
        return;
      case 'forgetBot':
        this.change(forgetBot(step.bot));
        return;
      case 'removeContainer':
        this.containers.delete(step.container);
        return;
      case 'forgetContainer':
        this.change(forgetContainer(step.container));
        return;
      case 'restartBot':
      case 'controlBot':
        return;
    }
  }

  /** Failures of lanes for which nothing is left to do are over. */
  settle(planned: readonly Step[]): void {
    const needed = new Set(planned.map(stepLane));
    for (const lane of this.failures.keys()) if (!needed.has(lane)) this.failures.delete(lane);
  }

  #fails(step: Extract<Step, { kind: 'createContainer' }>): boolean {
    const lane = stepLane(step);
    const fails = this.broken.has(step.container.soleBot === null ? 'pooled' : 'legacy');
    const count = (this.failures.get(lane)?.count ?? 0) + 1;
    if (fails) this.failures.set(lane, { code: 'INTERNAL', reason: 'broken', count });
    else this.failures.delete(lane);
    return fails;
  }

  archive(container: string, bot: string): void {
    const box = this.containers.get(container);
    if (box === undefined || !box.on || box.bots.get(bot)?.run === true) return;
    this.archives.add(bot);
    this.change(noteOnBot(bot, { archive: `${bot}.tar.gz` }));
  }

  /** Bots with a living process, by id, once per process. */
  alive(): string[] {
    return [...this.containers.values()]
      .filter((box) => box.on)
      .flatMap((box) => [...box.bots.values()].filter((spec) => spec.run).map((spec) => spec.bot));
  }
}

class ModelContainer {
  readonly record: ContainerRecord;
  on = true;
  silent = false;
  readonly bots = new Map<string, BotSpec>();
  readonly directories = new Set<string>();

  constructor(record: ContainerRecord) {
    this.record = record;
  }

  /** supervisord starts empty; directories stay. */
  start(): void {
    if (this.on) return;
    this.on = true;
    this.silent = false;
    this.bots.clear();
  }

  apply(spec: BotSpec): void {
    const known = this.bots.get(spec.bot);
    if (!this.on || (known !== undefined && known.generation > spec.generation)) return;
    const other = [...this.bots.values()].find((bot) => bot.slot === spec.slot && bot.bot !== spec.bot);
    expect(other, `slot ${spec.slot} of ${this.record.name} given to two bots`).toBeUndefined();
    expect(spec.slot).toBeLessThan(this.record.capacity);
    this.bots.set(spec.bot, spec);
    this.directories.add(spec.bot);
  }

  remove(bot: string): boolean {
    if (!this.on) return false;
    expect(this.bots.get(bot)?.run ?? false, `${bot} removed while alive`).toBe(false);
    this.bots.delete(bot);
    this.directories.delete(bot);
    return true;
  }

  observe(): ReturnType<typeof anAgent> {
    const bots = [...this.bots.values()].map((spec) =>
      observedBot(
        { ...aBot(spec.bot), generation: spec.generation },
        { run: spec.run, state: spec.run ? 'running' : 'stopped', slot: spec.slot, port: spec.port },
      ),
    );
    return anAgent(bots, [...this.directories]);
  }
}

type Command =
  | { readonly do: 'create' | 'create alone' | 'delete'; readonly bot: string }
  | { readonly do: 'break' | 'mend'; readonly what: 'pooled' | 'legacy' }
  | { readonly do: 'desire'; readonly bot: string; readonly desired: Desired }
  | { readonly do: 'power' | 'silence' | 'speak' | 'cleanup'; readonly box: number }
  | { readonly do: 'blind' | 'see' }
  /** Applies the plan; only the first `steps` of it, and each one twice where `twice`. */
  | { readonly do: 'pass'; readonly steps: number; readonly twice: boolean };

const bot = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create' as const), bot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('create alone' as const), bot }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('break' as const, 'mend' as const),
      what: fc.constantFrom('pooled' as const, 'legacy' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), bot }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('desire' as const),
      bot,
      desired: fc.constantFrom<Desired>('running', 'stopped'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('power' as const, 'silence' as const, 'speak' as const, 'cleanup' as const),
      box: fc.nat(3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('blind' as const, 'see' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      steps: fc.oneof(fc.constant(99), fc.nat(4)),
      twice: fc.boolean(),
    }),
  },
);

const ASKED = { cause: 'asked', why: 'asked for', since: '2026-01-01T00:00:00.000Z' } as const;

function run(model: Model, given: Command): void {
  switch (given.do) {
    case 'create':
      model.change(addBot(aBot(given.bot)));
      return;
    case 'create alone':
      model.change(addBot(aBot(given.bot, { legacy: ASKED })));
      return;
    case 'break':
      model.broken.add(given.what);
      return;
    case 'mend':
      model.broken.delete(given.what);
      return;
    case 'delete':
      model.change(markDeleting(given.bot));
      return;
    case 'desire':
      model.change(setDesired(given.bot, given.desired));
      return;
    case 'blind':
    case 'see':
      model.listable = given.do === 'see';
      return;
    case 'pass': {
      const { steps } = plan(model.world());
      if (model.listable) model.settle(steps);
      for (const step of steps.slice(0, given.steps)) {
        model.apply(step);
        if (given.twice) model.apply(step);
      }
      return;
    }
    default:
      disturb(model, [...model.containers.values()][given.box], given.do);
  }
}

function disturb(model: Model, box: ModelContainer | undefined, what: 'power' | 'silence' | 'speak' | 'cleanup'): void {
  if (box === undefined) return;
  if (what === 'power') box.on = false;
  else if (what === 'cleanup') model.change(markRemoving(box.record.name));
  else box.silent = what === 'silence';
}

function check(model: Model): void {
  const bots: readonly BotRecord[] = model.state.bots.records;
  const claims = bots.flatMap(({ placement }) => (placement === null ? [] : [placement]));
  const ports = claims.map((claim) => claim.port);
  expect(new Set(ports).size, 'a port claimed twice').toBe(ports.length);
  expect(new Set(claims.map((claim) => `${claim.container}/${claim.slot}`)).size, 'a slot claimed twice').toBe(
    claims.length,
  );
  for (const container of Object.values(model.state.containers)) {
    const inside = claims.filter((claim) => claim.container === container.name).length;
    expect(inside, 'more bots than slots').toBeLessThanOrEqual(container.capacity);
    const strangers = bots.filter(
      ({ placement, instanceId }) => placement?.container === container.name && instanceId !== container.soleBot,
    );
    if (container.soleBot !== null) expect(strangers, 'another bot in a container of one').toEqual([]);
  }
  const alive = model.alive();
  expect(new Set(alive).size, 'a bot in two places').toBe(alive.length);
}

/** Everything is switched on and can be seen, and passes run until nothing is left to do. */
function calm(model: Model): void {
  model.listable = true;
  model.broken.clear();
  for (const box of model.containers.values()) box.silent = false;
  for (let round = 0; round < 40; round++) run(model, { do: 'pass', steps: 99, twice: false });
  expect(plan(model.world()).steps).toEqual([]);
}

/** What may not happen between one command and the next. */
class History {
  readonly #everApplied = new Set<string>();
  #known: readonly string[] = [];
  #resting: readonly string[] = [];

  before(model: Model): void {
    const alive = new Set(model.alive());
    this.#known = model.state.bots.keys;
    this.#resting = model.state.bots.records
      .filter((record) => record.desired === 'stopped' && !alive.has(record.instanceId))
      .map((record) => record.instanceId);
  }

  after(model: Model, given: Command): void {
    for (const box of model.containers.values()) for (const name of box.directories) this.#everApplied.add(name);
    for (const name of this.#known) if (!model.state.bots.has(name)) this.#expectArchived(model, name);
    if (given.do === 'desire') return;
    for (const name of this.#resting)
      expect(model.alive(), `${name}, stopped by its owner, was started`).not.toContain(name);
  }

  #expectArchived(model: Model, name: string): void {
    if (!this.#everApplied.delete(name)) return;
    expect(model.archives.delete(name), `${name} forgotten without an archive`).toBe(true);
  }
}

function expectAsWished(model: Model): void {
  const bots = model.state.bots.records;
  const wanted = bots.filter((record) => record.desired === 'running').map((record) => record.instanceId);
  expect(model.alive().sort()).toEqual(wanted.sort());
  expect(bots.filter((record) => record.deleting)).toEqual([]);
  // Nobody is left alone who did not have to be or want to be, and no container of one is left behind.
  const alone = bots.filter(({ legacy }) => legacy !== null).map(({ instanceId }) => instanceId);
  const made = Object.values(model.state.containers).flatMap(({ soleBot }) => soleBot ?? []);
  expect(made.sort()).toEqual(alone.sort());
}

describe('the planner, whatever happens', () => {
  it('never doubles a bot, slot or port, never deletes without an archive, and comes to rest as wished', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 10, maxLength: 80 }), (commands) => {
        const model = new Model();
        const history = new History();
        for (const given of commands) {
          history.before(model);
          run(model, given);
          check(model);
          history.after(model, given);
        }
        calm(model);
        check(model);
        expectAsWished(model);
      }),
      { numRuns: 400 },
    );
  }, 30_000);

  it('does nothing at all while the driver cannot be asked', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 5, maxLength: 40 }), (commands) => {
        const model = new Model();
        for (const given of commands) run(model, given);
        model.listable = false;
        expect(plan(model.world()).steps).toEqual([]);
      }),
    );
  });
});
