import { expect } from 'vitest';
import type { BotRecord } from '../../lib/domain/bot.ts';
import type { State } from '../../lib/domain/state.ts';
import type { Agent, Driver } from '../../lib/drivers/driver.ts';
import type { ForeignHost } from '../../lib/drivers/foreign-host.ts';
import { MemoryDriver } from '../../lib/drivers/memory.ts';
import type { Change, Store } from '../../lib/store/store.ts';
import { systemClock as clock } from '../../lib/util/clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Machine, System } from './system.ts';

/** Burns down with every effect; at its end the orchestrator is as dead as after kill -9: nothing it awaits ever comes. */
export class Fuse {
  dead = false;
  points = 0;
  /** Where it ended; null: it burns on. */
  end: string | null = null;
  readonly #length: number;
  readonly #onDeath = Promise.withResolvers<void>();

  constructor(length: number) {
    this.#length = length;
  }

  get died(): Promise<void> {
    return this.#onDeath.promise;
  }

  /** Counts a point before or after an effect. */
  async point(where: string): Promise<void> {
    this.points += 1;
    if (!this.dead && this.points < this.#length) return;
    this.end ??= where;
    this.dead = true;
    this.#onDeath.resolve();
    return new Promise(() => {});
  }

  async around<T>(what: string, work: () => Promise<T>): Promise<T> {
    await this.point(`before ${what}`);
    const result = await work();
    await this.point(`after ${what}`);
    return result;
  }
}

/** Observing changes nothing, so to die before or after it is all the same; every other call is a point. */
const QUIET = new Set([
  'list',
  'observe',
  'wait',
  'capabilities',
  'portsInUse',
  'log',
  'settled',
  'inspect',
  'sizeOf',
  'boundPorts',
]);
/** Not calls that are awaited. */
const PLAIN: ReadonlySet<PropertyKey> = new Set(['watch', 'close', 'current', 'readTree']);

function fused<T extends object>(name: string, subject: T, fuse: Fuse): T {
  return new Proxy(subject, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || PLAIN.has(key)) {
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (...args: unknown[]) => {
        if (fuse.dead) return new Promise(() => {});
        const call = async (): Promise<unknown> => Reflect.apply(value, target, args);
        const result =
          QUIET.has(String(key)) || key === 'connect'
            ? await call()
            : await fuse.around(nameOf(name, String(key), target, args), call);
        return key === 'connect' ? fused('agent', result as Agent, fuse) : result;
      };
    },
  });
}

/** What an effect is called in the table; a change of the store by what it does to bots and leases of the reserve. */
function nameOf(subject: string, method: string, target: object, [change]: readonly unknown[]): string {
  if (subject !== 'store' || typeof change !== 'function') return `${subject}.${method}`;
  return `store: ${whatChanges(change as Change<unknown>, (target as Store).current())}`;
}

/** Changes are pure, so one may be tried. */
function whatChanges(change: Change<unknown>, before: State): string {
  try {
    const after = change(before).state;
    const bots = after.bots.since(before.bots).put.map(([id, bot]) => whatChanged(before.bots.get(id), bot));
    const leases = after.leases.since(before.leases).put.map(([id, lease]) => {
      const old = before.leases.get(id);
      if (old === undefined) return 'lease granted';
      return lease.end === null ? 'lease extended' : `lease ${lease.end.how}`;
    });
    const migrations = after.migrations.since(before.migrations).put.map(([id, { phase }]) => {
      const old = before.migrations.get(id)?.phase ?? 'none';
      return old === phase ? `${phase} noted` : `${old} → ${phase}`;
    });
    return [...new Set([...migrations, ...leases, ...bots])].sort().join(', ') || 'something else';
  } catch {
    return 'nothing';
  }
}

/** In its life in the reserve, or on its way to another container. */
function whatChanged(before: BotRecord | undefined, after: BotRecord): string {
  const way = ({ move }: BotRecord): string => `${move?.undone ? 'back: ' : ''}${move?.phase ?? 'at home'}`;
  if (before !== undefined && way(before) !== way(after)) return `${way(before)} → ${way(after)}`;
  const [from, to] = [before?.reserve?.phase ?? 'new', after.reserve?.phase ?? ''];
  return from === to || after.reserve === null ? 'bot changed' : `${from} → ${to}`;
}

export async function startFused(machine: Machine, fuse: Fuse): Promise<System> {
  const driver: Driver = fused('driver', new MemoryDriver({ clock, world: machine.world }), fuse);
  const store: Store = fused('store', await machine.reopened(), fuse);
  const shelves = machine.shelves((vault) => ({
    ...vault,
    write: (name, content) => fuse.around('vault.write', () => vault.write(name, content)),
    remove: (name) => fuse.around('vault.remove', () => vault.remove(name)),
  }));
  const foreign: ForeignHost = fused('foreign', machine.foreign(), fuse);
  const system = new System(machine, { driver, store, foreign, ...shelves, accounts: await machine.accounts() });
  const started = system.reconciler.start(1_000_000_000);
  await Promise.race([started, fuse.died]);
  return system;
}

/** What somebody asks for, and when it is done. Asked for again after the orchestrator died, as a client without an answer would. */
export interface Act {
  readonly what: string;
  readonly act: (system: System) => Promise<unknown>;
  readonly done: (system: System) => boolean;
}

/** Plays the story from that act on until its end or the orchestrator's. Returns the act that was not finished. */
async function play(story: readonly Act[], system: System, fuse: Fuse, from: number): Promise<number> {
  for (let index = from; index < story.length; index++) {
    const step = story[index];
    if (step === undefined) break;
    await Promise.race([step.act(system), fuse.died]);
    const finished = waitFor(step.what, () => fuse.dead || step.done(system), 5000);
    await Promise.race([finished, fuse.died]);
    if (fuse.dead) return index;
  }
  return story.length;
}

/** One death that was survived: in which act, and between which effects. */
export interface Death {
  readonly act: string;
  readonly where: string;
}

/**
 * Plays the story again and again, each time with an orchestrator that dies one effect later and another that goes on from
 * there, until one survives. The next one reads anew what is kept. Returns all deaths, each of which `check` found harmless.
 */
export async function killEverywhere(
  newMachine: () => Promise<Machine>,
  newStory: (machine: Machine) => readonly Act[],
  check: (machine: Machine, system: System) => Promise<void>,
): Promise<readonly Death[]> {
  const deaths: Death[] = [];
  for (let length = 1; ; length++) {
    await using machine = await newMachine();
    const story = newStory(machine);
    const fuse = new Fuse(length);
    const first = await startFused(machine, fuse);
    const reached = fuse.dead ? 0 : await play(story, first, fuse, 0);
    const survived = !fuse.dead;
    fuse.dead = true;
    const endless = new Fuse(Number.POSITIVE_INFINITY);
    const second = await startFused(machine, endless);
    const where = `killed ${fuse.end ?? 'at the end'} (point ${length})`;
    expect(await play(story, second, endless, reached), where).toBe(story.length);
    await check(machine, second);
    await second.reconciler.close();
    if (survived) return deaths;
    deaths.push({ act: story[reached]?.what ?? '', where: fuse.end ?? '' });
  }
}

/** Deaths by act and effect, as a table for people. */
export function tableOf(deaths: readonly Death[]): string {
  const rows = Map.groupBy(deaths, ({ act, where }) => `${act.padEnd(22)} ${where}`);
  return [...rows]
    .sort()
    .map(([row, { length }]) => `${row.padEnd(70)} killed ${length} times, nothing lost`)
    .join('\n');
}
